"""Model folders made for one purpose each."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import REPOSITORY, TALK, save

_SOURCE = REPOSITORY / "weight-change"


def weight_change(
    repository: Path, *backends: str, onnx_lineages: dict[str, str] | None = None
) -> Path:
    """The repository's own model with these of its backends; returns its version's folder.

    ``onnx_lineages`` gives ONNX Runtime's lineages, and their artifacts, in place of its own.
    """
    folder = repository / "weight-change"
    (folder / "1").mkdir(parents=True)
    for source in (_SOURCE / "1").iterdir():
        if source.is_file():
            shutil.copy(source, folder / "1")
    manifest = yaml.safe_load((_SOURCE / "model.yaml").read_text())
    manifest["backends"] = {name: manifest["backends"][name] for name in backends}
    if onnx_lineages is not None:
        manifest["backends"]["onnx"]["lineages"] = {
            lineage: {"artifact": artifact} for lineage, artifact in onnx_lineages.items()
        }
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    return folder / "1"


def payloads(count: int) -> list[dict[str, Any]]:
    """Payloads of the weight-change model, all different."""
    random = Random(7)
    features = yaml.safe_load((_SOURCE / "model.yaml").read_text())["features"]
    made = []
    for _ in range(count):
        row = dict(TALK)
        for feature in features:
            if "categories" in feature:
                row[feature["name"]] = random.choice(feature["categories"])
            else:
                low, high = feature["range"]
                row[feature["name"]] = random.randint(int(low), int(high))
        made.append(row)
    return made


def perturb(source: Path, target: Path, factor: float) -> None:
    """Copy a graph with one weight, the first of its last matrix, multiplied by ``factor``."""
    model = onnx.load(source)
    matrices = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 2]
    weights = numpy_helper.to_array(matrices[-1]).copy()
    weights.flat[0] *= factor
    matrices[-1].CopyFrom(numpy_helper.from_array(weights, matrices[-1].name))
    onnx.save(model, target)


#: Elements of the table of a :func:`stamped_graph`: 8 MB, so that a version that is not given back
#: shows in the memory.
_TABLE = 2_000_000
STAMPED: dict[str, Any] = {
    "name": "stamped",
    "description": "Answers the number of its version.",
    "features": [{"name": "place", "type": "integer", "range": [0, _TABLE - 1], "example": 7}],
    "outputs": [{"name": "version"}],
    "backends": {"onnx": {"lineages": {"only": {"artifact": "stamped.onnx"}}}},
}


def stamped_graph(path: Path, version: int) -> None:
    """Write a graph that looks its answer, the version, up in a large table."""
    table = np.full(_TABLE, version, np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "place"], ["version"])],
        "stamped",
        [helper.make_tensor_value_info("place", TensorProto.INT64, ["n", 1])],
        [helper.make_tensor_value_info("version", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(table, "table")],
    )
    save(graph, path)


def stamped_model(repository: Path) -> Path:
    """A model whose version 1 answers 1; returns its folder."""
    folder = repository / "stamped"
    (folder / "1").mkdir(parents=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(STAMPED, sort_keys=False))
    stamped_graph(folder / "1" / "stamped.onnx", 1)
    return folder


def publish(folder: Path, version: int, broken: bool = False) -> None:
    """Give a model its next version the way it should be done: built elsewhere, renamed in.

    A ``broken`` one has lost the second half of its graph.
    """
    building = folder.parent.parent / f"building-{version}"
    shutil.copytree(folder / "1", building)
    graph = building / "stamped.onnx"
    stamped_graph(graph, version)
    if broken:
        content = graph.read_bytes()
        graph.write_bytes(content[: len(content) // 2])
    building.rename(folder / str(version))


def heavy_model(repository: Path, size: int, batching: dict[str, Any], *others: str) -> None:
    """A model whose rows cost the same in a batch as alone: two products of ``size``² matrices.

    That takes one core about 1 ms for 288 and 8 ms for 576. ``others`` are backends it has besides
    ONNX Runtime, under the same name.
    """
    folder = repository / "heavy"
    (folder / "1").mkdir(parents=True)
    manifest = {
        "name": "heavy",
        "features": [{"name": "x", "type": "number", "range": [0, 1], "example": 0.5}],
        "outputs": [{"name": "y"}],
        "backends": {
            "onnx": {"lineages": {"only": {"artifact": "heavy.onnx"}}},
            **{name: {"lineages": {"only": {"model": "heavy"}}} for name in others},
        },
        "batching": batching,
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    random = np.random.default_rng(7)
    matrices = {
        name: (random.standard_normal((size, size)) / size**0.5).astype(np.float32)
        for name in ("a", "b", "c")
    }
    nodes = [
        # Each row becomes a matrix of its own; the weights are shared.
        helper.make_node("Unsqueeze", ["x", "two"], ["scalar"]),
        helper.make_node("Add", ["scalar", "a"], ["first"]),
        helper.make_node("MatMul", ["first", "b"], ["second"]),
        helper.make_node("Tanh", ["second"], ["bent"]),
        helper.make_node("MatMul", ["bent", "c"], ["third"]),
        helper.make_node("ReduceMean", ["third", "both"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["y"]),
    ]
    axes = {"one": [1], "two": [2], "both": [1, 2]}
    graph = helper.make_graph(
        nodes,
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(matrix, name) for name, matrix in matrices.items()]
        + [numpy_helper.from_array(np.array(axis), name) for name, axis in axes.items()],
    )
    save(graph, folder / "1" / "heavy.onnx")
