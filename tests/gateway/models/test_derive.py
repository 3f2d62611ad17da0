"""Manifests derived from graphs: what is a batch, and what is one call with whole arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from gateway.errors import ModelError
from gateway.models.derive import derive_manifest
from gateway.models.graph import Graph
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.rows import Outputs
from gateway.models.validator import Validator
from tests.conftest import linear_graph, save
from tests.gateway.inspection.graphs import shapeless_graph

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
Shape = list[str | int | None]


def write(
    path: Path,
    nodes: list[NodeProto],
    inputs: dict[str, tuple[int, Shape]],
    outputs: dict[str, tuple[int, Shape]],
    **constants: Any,
) -> Path:
    given, made = (
        [helper.make_tensor_value_info(name, *kind) for name, kind in values.items()]
        for values in (inputs, outputs)
    )
    arrays = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    return save(helper.make_graph(nodes, "g", given, made, arrays), path)


def one(path: Path, op: str, shape: Shape, kind: int = FLOAT, **attributes: Any) -> Path:
    """A graph of a single operator from ``x`` to ``y``, both of this shape."""
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    return write(path, [node], {"x": (kind, shape)}, {"y": (kind, shape)})


def answer(path: Path, *objects: Any) -> tuple[Manifest, Outputs]:
    """What the derived manifest and graph make of JSON objects."""
    manifest = derive_manifest(path)
    options = manifest.backends["onnx"].lineages["original"]
    graph = Graph(path, 1, batched=manifest.batched, names=options.get("inputs"))
    rows = Validator(manifest).decode(json.dumps({"instances": objects}).encode())
    return manifest, graph.run(rows)


@pytest.mark.parametrize("first", ["n", None, 1, 3])
def test_rows_that_do_not_depend_on_each_other_are_a_batch(
    tmp_path: Path, first: str | int | None
) -> None:
    path = one(tmp_path / "g.onnx", "Relu", [first, 2])
    manifest, outputs = answer(path, {"x": [-1, 2]}, {"x": [3, -4]})
    assert manifest.batched
    assert manifest.features[0].shape == (2,)
    assert outputs["y"].tolist() == [[0, 2], [3, 0]]


@pytest.mark.parametrize("kind", [INT64, TensorProto.UINT8, TensorProto.BOOL])
@pytest.mark.parametrize("width", [[], [1], [2]])
def test_few_whole_numbers_are_enough_to_see_a_batch(
    tmp_path: Path, kind: int, width: Shape
) -> None:
    manifest = derive_manifest(one(tmp_path / "g.onnx", "Identity", ["n", *width], kind))
    assert manifest.batched


@pytest.mark.parametrize("first", ["n", 3])
def test_rows_that_do_are_not(tmp_path: Path, first: str | int) -> None:
    """Softmax over the first dimension: together they would be answered otherwise than alone."""
    path = one(tmp_path / "g.onnx", "Softmax", [first, 2], axis=0)
    manifest, outputs = answer(path, {"x": [[0, 0], [0, 0], [0, 0]]}, {"x": [[9, 9]] * 3})
    assert not manifest.batched
    assert manifest.features[0].shape == (None if first == "n" else 3, 2)
    answered: Any = outputs["y"]
    np.testing.assert_allclose(answered, np.full((2, 3, 2), 1 / 3), rtol=1e-6)


def test_a_running_sum_of_zeros_gives_nothing_away(tmp_path: Path) -> None:
    node = helper.make_node("CumSum", ["x", "axis"], ["y"])
    kind: dict[str, tuple[int, Shape]] = {"x": (INT64, ["n", 2])}
    path = write(tmp_path / "g.onnx", [node], kind, {"y": (INT64, ["n", 2])}, axis=0)
    manifest, outputs = answer(path, {"x": [[1, 2], [3, 4]]})
    assert not manifest.batched
    assert outputs["y"].tolist() == [[[1, 2], [4, 6]]]


def test_a_width_that_depends_on_the_other_rows_is_no_batch(tmp_path: Path) -> None:
    node = helper.make_node("StringSplit", ["x"], ["y", "count"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", STRING, ["n"])],
        [helper.make_tensor_value_info("y", STRING, ["n", None])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    path = tmp_path / "g.onnx"
    path.write_bytes(model.SerializeToString())
    manifest, outputs = answer(path, {"x": ["a b", "c"]})
    assert not manifest.batched
    assert outputs["y"].tolist() == [[["a", "b"], ["c", ""]]]


def test_a_first_dimension_of_one_is_no_batch_where_the_output_has_more(tmp_path: Path) -> None:
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])
    kind: dict[str, tuple[int, Shape]] = {"x": (FLOAT, [1, 2])}
    path = write(tmp_path / "g.onnx", [node], kind, {"y": (FLOAT, [2, 1])})
    manifest, outputs = answer(path, {"x": [[1, 2]]})
    assert not manifest.batched
    assert outputs["y"].tolist() == [[[1], [2]]]


def test_scalars_of_every_type(tmp_path: Path) -> None:
    names = ["FLOAT16", "FLOAT", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16",
             "UINT32", "UINT64", "BOOL", "STRING"]  # fmt: skip
    inputs: dict[str, tuple[int, Shape]] = {
        name.lower(): (getattr(TensorProto, name), []) for name in names
    }
    nodes = [helper.make_node("Identity", [name], [name + "_out"]) for name in inputs]
    outputs = {name + "_out": kind for name, kind in inputs.items()}
    path = write(tmp_path / "g.onnx", nodes, inputs, outputs)
    row: dict[str, Any] = dict.fromkeys(inputs, 7) | {"bool": True, "string": "ü"}
    row |= {"int64": -(2**63), "uint64": 2**64 - 1, "int8": -128, "float16": 0.5}
    manifest, answered = answer(path, row, row)
    assert not manifest.batched
    assert {f.type for f in manifest.features} == {"number", "integer", "boolean", "string"}
    for name, value in row.items():
        assert answered[name + "_out"].tolist() == [value, value], name


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    inputs: dict[str, tuple[int, Shape]] = {
        "a": (FLOAT, ["n", 2]), "b": (FLOAT, ["m", 2]), "scale": (FLOAT, ["k", 1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Mul", ["sum", "scale"], ["scaled"]),
    ]
    outputs: dict[str, tuple[int, Shape]] = {
        "sum": (FLOAT, ["n", 2]), "scaled": (FLOAT, ["n", 2]),
    }  # fmt: skip
    path = write(tmp_path / "g.onnx", nodes, inputs, outputs)
    rows = [{"a": [1, 2], "b": [i, 0], "scale": 10} for i in range(3)]
    manifest, answered = answer(path, *rows)
    assert [f.type for f in manifest.features] == ["tensor", "tensor", "number"]
    assert answered["scaled"].tolist() == [[10, 20], [20, 20], [30, 20]]


def test_names_a_payload_cannot_hold(tmp_path: Path) -> None:
    names = ["instances", 'a"b', "a_b", "in/put:0 x"]
    inputs: dict[str, tuple[int, Shape]] = {name: (FLOAT, ["n", 2]) for name in names}
    node = helper.make_node("Sum", names, ["instances out"])
    path = write(tmp_path / "g.onnx", [node], inputs, {"instances out": (FLOAT, ["n", 2])})
    row = {"instances_": [1, 1], "a_b_": [2, 2], "a_b": [3, 3], "in/put:0 x": [4, 4]}
    manifest, answered = answer(path, row)
    assert [feature.name for feature in manifest.features] == list(row)
    assert answered["instances out"].tolist() == [[10, 10]]


def test_an_input_without_a_shape_needs_a_manifest(tmp_path: Path) -> None:
    path = shapeless_graph(tmp_path / "g.onnx")
    with pytest.raises(ModelError, match=r"input x declares no shape.*a manifest can say which"):
        derive_manifest(path)
    manifest = Manifest(
        "described",
        (Feature("x", "tensor", shape=(2, None)),),
        (Output("y", shape=(2, None)),),
        {"onnx": BackendSpec({"mine": {"artifact": path.name}})},
    )
    rows = Validator(manifest).convert([{"x": [[-1], [2]]}, {"x": [[3], [-4]]}])
    assert Graph(path, 1).run(rows)["y"].tolist() == [[[0], [2]], [[3], [0]]]


def test_an_input_with_a_default_is_no_feature(tmp_path: Path) -> None:
    inputs: dict[str, tuple[int, Shape]] = {"x": (FLOAT, ["n", 1]), "w": (FLOAT, [1])}
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    weight = np.array([3], np.float32)
    path = write(tmp_path / "g.onnx", [node], inputs, {"y": (FLOAT, ["n", 1])}, w=weight)
    manifest, answered = answer(path, {"x": 2})
    assert [feature.name for feature in manifest.features] == ["x"]
    assert answered["y"].tolist() == [[6]]


def test_dimensions_without_elements(tmp_path: Path) -> None:
    path = one(tmp_path / "g.onnx", "Identity", ["a", 0, 3])
    _, outputs = answer(path, {"x": []}, {"x": []})
    assert outputs["y"].shape == (2, 0, 0, 3)
    shape: dict[str, tuple[int, Shape]] = {"y": (INT64, [3])}
    node = helper.make_node("Shape", ["x"], ["y"])
    path = write(tmp_path / "h.onnx", [node], {"x": (FLOAT, [2, 0, None])}, shape)
    manifest, outputs = answer(path, {"x": [[], []]})
    assert not manifest.batched
    assert outputs["y"].tolist() == [[2, 0, 0]]


def test_a_graph_without_inputs(tmp_path: Path) -> None:
    node = helper.make_node("Constant", [], ["y"], value_floats=[1.0, 2.0])
    path = write(tmp_path / "g.onnx", [node], {}, {"y": (FLOAT, [2])})
    _, outputs = answer(path, {}, {})
    assert outputs["y"].tolist() == [[1, 2], [1, 2]]


def test_the_example_is_one_the_graph_answers(tmp_path: Path) -> None:
    inputs: dict[str, tuple[int, Shape]] = {"x": (FLOAT, [2, 3]), "shape": (INT64, [2])}
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    path = write(tmp_path / "g.onnx", [node], inputs, {"y": (FLOAT, [None, None])})
    manifest = derive_manifest(path)
    assert manifest.warm_up
    assert answer(path, manifest.example)[1]["y"].size == 6


def test_where_no_example_is_found_nothing_warms_the_model_up(tmp_path: Path) -> None:
    inputs: dict[str, tuple[int, Shape]] = {"x": (FLOAT, [6]), "sizes": (INT64, [2])}
    node = helper.make_node("Split", ["x", "sizes"], ["y", "z"])
    outputs: dict[str, tuple[int, Shape]] = {"y": (FLOAT, [None]), "z": (FLOAT, [None])}
    path = write(tmp_path / "g.onnx", [node], inputs, outputs)
    assert not derive_manifest(path).warm_up
    _, answered = answer(path, {"x": [1, 2, 3, 4, 5, 6], "sizes": [2, 4]})
    assert answered["z"].tolist() == [[3, 4, 5, 6]]


def test_what_is_no_tensor_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("SequenceConstruct", ["x"], ["y"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["n"])],
        [helper.make_tensor_sequence_value_info("y", FLOAT, None)],
    )
    with pytest.raises(ModelError, match=r"output y is a seq\(tensor\(float\)\)"):
        derive_manifest(save(graph, tmp_path / "g.onnx"))


def test_answers_of_different_shapes_do_not_fit_in_one(tmp_path: Path) -> None:
    node = helper.make_node("NonZero", ["x"], ["y"])
    kind: dict[str, tuple[int, Shape]] = {"x": (FLOAT, [3])}
    path = write(tmp_path / "g.onnx", [node], kind, {"y": (INT64, [1, None])})
    assert answer(path, {"x": [1, 0, 1]})[1]["y"].tolist() == [[[0, 2]]]
    with pytest.raises(ValueError, match="a request of its own"):
        answer(path, {"x": [1, 0, 1]}, {"x": [1, 0, 0]})


def test_not_finite_numbers_go_in_as_null_or_bytes(tmp_path: Path) -> None:
    path = one(tmp_path / "g.onnx", "Relu", ["n", 2])
    raw = {"b64": "AACAfwAAwH8=", "shape": [2]}  # inf, NaN
    _, outputs = answer(path, {"x": [None, 1]}, {"x": raw})
    np.testing.assert_array_equal(outputs["y"], [[np.nan, 1], [np.inf, np.nan]])


def test_a_linear_graph_is_what_it_was(tmp_path: Path) -> None:
    manifest, outputs = answer(linear_graph(tmp_path / "g.onnx", [1, 2]), {"x": [3, 4]})
    assert manifest.outputs[0].shape == ()
    assert outputs["y"].tolist() == [[11]]
