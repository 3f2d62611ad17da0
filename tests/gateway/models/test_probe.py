"""What is tried on a graph nobody described: pictures, and neither large arrays nor for long."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from gateway.models import probe
from gateway.models.derive import derive_manifest
from gateway.models.graph import Graph
from gateway.models.rows import Outputs
from tests.conftest import linear_graph, save

#: The names exporters of picture models give to what varies.
VARIES = ["batch_size", "num_channels", "height", "width"]
PATCH = 16


def transformer(path: Path, channels: int, side: int, last: bool = False) -> Path:
    """Write a graph with a vision transformer's fixed parts: patches, and a position for each."""
    count = (side // PATCH) ** 2
    constants = {
        "kernel": np.full((2, channels, PATCH, PATCH), 1e-3, np.float32),
        "positions": np.linspace(0, 1, count * 2, dtype=np.float32).reshape(1, 2, count),
        "flat": np.array([0, 2, -1]),
    }
    first = [helper.make_node("Transpose", ["x"], ["pixels"], perm=[0, 3, 1, 2])] if last else []
    nodes = [
        *first,
        helper.make_node("Conv", ["pixels" if last else "x", "kernel"], ["p"], strides=[PATCH] * 2),
        helper.make_node("Reshape", ["p", "flat"], ["patches"]),
        helper.make_node("Add", ["patches", "positions"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "transformer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, VARIES)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch_size", 2, count])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return save(graph, path)


@pytest.mark.parametrize(
    ("channels", "side", "last"), [(3, 224, False), (1, 64, False), (3, 384, True)]
)
def test_pictures_of_the_one_size_a_graph_takes_are_found(
    tmp_path: Path, channels: int, side: int, last: bool
) -> None:
    manifest = derive_manifest(transformer(tmp_path / "g.onnx", channels, side, last))
    assert manifest.batched
    assert manifest.warm_up
    (feature,) = manifest.features
    shape = (side, side, channels) if last else (channels, side, side)
    assert np.shape(feature.example) == shape
    assert "examples" not in feature.json_schema, "it would be as large as the picture"


def test_no_sizes_are_tried_that_take_much_memory(tmp_path: Path) -> None:
    graph = Graph(transformer(tmp_path / "g.onnx", 3, 224), 1, batched=False)
    shapes = [each["x"] for each in probe._shapes(graph)]
    assert max(map(math.prod, shapes)) * 4 <= 16 * 2**20
    assert {(1, 3, 224, 224), (1, 224, 224, 3), (2, 1, 28, 28)} <= set(shapes)
    assert len(shapes) == len(set(shapes))


def test_large_arrays_that_the_graph_itself_declares_are_tried(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", 5000, 5000])
    made = helper.make_tensor_value_info("y", TensorProto.INT64, [3])
    path = save(
        helper.make_graph([helper.make_node("Shape", ["x"], ["y"])], "g", [value], [made]),
        tmp_path / "g.onnx",
    )
    example, plain = probe.find_example(Graph(path, 1, batched=False))
    assert plain
    assert example is not None
    assert example["x"].shape == (1, 5000, 5000)


def test_rows_of_a_slow_graph_are_compared_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph(linear_graph(tmp_path / "g.onnx", [1.0, 2.0]), 1, batched=False)
    example: probe.Arrays = {"x": np.zeros((1, 2), np.float32)}
    asked: list[int] = []

    def answer(graph: Graph, arrays: probe.Arrays) -> Outputs | None:
        asked.append(len(arrays["x"]))
        return {"y": arrays["x"] if answers else arrays["x"][::-1].cumsum(0)}

    monkeypatch.setattr(probe, "answer", answer)
    answers = True
    assert probe.rows_are_independent(graph, example)
    assert len(asked) == 6
    monkeypatch.setattr(probe, "_PATIENCE_S", -1.0)
    for answers in (True, False):
        asked.clear()
        assert probe.rows_are_independent(graph, example) == answers
        assert asked == [1, 1, 3]
