"""ONNX Runtime behind the gateway with files nobody described: whole calls, folders, weights."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gateway.backends import Call, OnnxBackend, Target
from gateway.backends.tfserving_model import ServedModel
from gateway.errors import BackendError, ModelError
from gateway.models.derive import derive_manifest
from gateway.models.manifest import BackendSpec, Batching, Feature, Manifest, Output
from gateway.models.repository import Repository
from gateway.models.rows import Rows
from gateway.routing.batcher import Batcher
from tests.conftest import MakeClient, linear_graph, save


def graph_of(path: Path, op: str, inputs: dict[str, list[int | str | None]], kind: int) -> Path:
    """A graph of a single operator on float inputs, with an output ``y`` of unknown size."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.INT64 if name == "sizes" else 1, shape)
        for name, shape in inputs.items()
    ]
    outputs = ["y", "z"] if op == "Split" else ["y"]
    shape = [1, None] if op == "NonZero" else [None]
    results = [helper.make_tensor_value_info(name, kind, shape) for name in outputs]
    node = helper.make_node(op, list(inputs), outputs)
    return save(helper.make_graph([node], "g", values, results), path)


def with_external_data(path: Path, weights: list[float], location: str) -> Path:
    """A linear graph whose weights are in a file of their own."""
    model = onnx.load(linear_graph(path, weights))
    raw = np.array(weights, np.float32).tobytes()
    (path.parent / location).write_bytes(raw)
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "length": str(len(raw))}.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


async def test_whole_calls_of_several_requests_are_not_merged(tmp_path: Path) -> None:
    path = graph_of(tmp_path / "g.onnx", "NonZero", {"x": [None]}, TensorProto.INT64)
    model = Repository().add(derive_manifest(path), "1", tmp_path)
    backend = OnnxBackend(threads=1)
    target = Target("onnx", model, "original", {"artifact": "g.onnx"})
    await backend.load(target)
    assert backend.max_rows(target) == 1
    assert backend.predict_now(target, model.validator.convert([{"x": [1]}])) is None  # it varies
    batcher = Batcher(backend, target, Batching(), None)
    values = [[1], [0, 1], [1, 1, 1], [0]]
    answers = await asyncio.gather(
        *(batcher.submit(model.validator.convert([{"x": v}]), Call.within(5)) for v in values)
    )
    assert [a.objects for a in answers] == [
        [{"y": [[0]]}], [{"y": [[1]]}], [{"y": [[0, 1, 2]]}], [{"y": [[]]}]
    ]  # fmt: skip
    both = model.validator.convert([{"x": [0, 1]}, {"x": [1, 1]}])
    with pytest.raises(BackendError, match="a request of its own"):
        await batcher.submit(both, Call.within(5))
    await batcher.close()


async def test_a_folder_of_plain_files(make_client: MakeClient, tmp_path: Path) -> None:
    """Of them one without an example it answers: it is ready all the same."""
    folder = tmp_path / "models"
    folder.mkdir()
    linear_graph(folder / "linear.onnx", [1.0, 2.0])
    with_external_data(folder / "apart.onnx", [3.0, 4.0], "weights.bin")
    inputs: dict[str, list[int | str | None]] = {"x": [6], "sizes": [2]}
    graph_of(folder / "split.onnx", "Split", inputs, TensorProto.FLOAT)
    client = await make_client(folder, reload_interval_s=0.02)
    for model, row, expected in [
        ("linear", {"x": [1, 1]}, {"y": 3}),
        ("apart", {"x": [1, 1]}, {"y": 7}),
        ("split", {"x": [1, 2, 3, 4, 5, 6], "sizes": [1, 5]}, {"y": [1], "z": [2, 3, 4, 5, 6]}),
    ]:
        answer = await (await client.post(f"/v1/predict?model={model}", json=row)).json()
        assert answer["predictions"] == [expected]
    assert (await client.get("/readyz")).status == 200
    description = await (await client.get("/v1/models/split")).json()
    assert description["batched"] is False
    linear_graph(folder / "later.onnx", [5.0])
    for _ in range(100):
        response = await client.post("/v1/predict?model=later", json={"x": 2})
        if response.status == 200:
            break
        await asyncio.sleep(0.05)
    assert (await response.json())["predictions"] == [{"y": 10}]


def test_weights_outside_the_models_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = with_external_data(folder / "g.onnx", [1.0, 2.0], "../weights.bin")
    with pytest.raises(ModelError, match=r"g\.onnx"):
        derive_manifest(path)
    path = with_external_data(folder / "h.onnx", [1.0, 2.0], "weights.bin")
    (folder / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"h\.onnx"):
        derive_manifest(path)


async def test_outputs_the_manifest_names_must_be_tensors(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["n"])],
        [helper.make_tensor_sequence_value_info("y", 1, None)],
    )
    save(graph, tmp_path / "g.onnx")
    manifest = Manifest(
        "m", (Feature("x", "number"),), (Output("y"),), {"onnx": BackendSpec({"a": {}})}
    )
    target = Target("onnx", Repository().add(manifest, "1", tmp_path), "a", {"artifact": "g.onnx"})
    with pytest.raises(ModelError, match="not a known tensor"):
        await OnnxBackend(threads=1).load(target)


def test_preprocessing_may_make_several_inputs_for_a_server(tmp_path: Path) -> None:
    """Each of them by its name."""
    values = [helper.make_tensor_value_info(name, 1, ["n", 1]) for name in ("x", "low", "high")]
    nodes = [helper.make_node("Neg", ["x"], ["low"]), helper.make_node("Abs", ["x"], ["high"])]
    save(helper.make_graph(nodes, "g", values[:1], values[1:]), tmp_path / "p.onnx")
    options = {"model": "m", "preprocess": "p.onnx"}
    specs = {"tfserving": BackendSpec({"a": options})}
    manifest = Manifest("m", (Feature("x", "number"),), (Output("y"),), specs)
    model = Repository().add(manifest, "1", tmp_path)
    inputs = ServedModel.load(Target("tfserving", model, "a", options)).inputs(
        Rows({"x": np.array([1.0, -2.0])}, 2)
    )
    assert isinstance(inputs, dict)
    assert {name: array.tolist() for name, array in inputs.items()} == {
        "low": [[-1], [2]], "high": [[1], [2]]
    }  # fmt: skip
    with pytest.raises(ModelError, match="one output"):
        ServedModel.load(Target("tfserving", model, "a", options | {"input": "x"}))
