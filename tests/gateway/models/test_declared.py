"""Inputs and outputs without a shape, read from the file itself."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from gateway.models.declared import without_shape
from tests.gateway.inspection.graphs import branching_graph, shapeless_graph


def test_what_has_no_shape_is_named_and_scalars_are_not(tmp_path: Path) -> None:
    assert without_shape(shapeless_graph(tmp_path / "g.onnx")) == {"x", "y"}
    assert without_shape(branching_graph(tmp_path / "h.onnx")) == set()


@pytest.mark.parametrize("weights", [0, 3, 70_000])
def test_it_says_what_onnx_itself_says(tmp_path: Path, weights: int) -> None:
    shapes: list[list[int | str | None] | None] = [None, [], [None], ["n", 3], [0]]
    kinds = [TensorProto.FLOAT, TensorProto.STRING]
    values = [
        helper.make_tensor_value_info(f"{kind}-{number} ü", kind, shape)
        for kind, (number, shape) in itertools.product(kinds, enumerate(shapes))
    ]
    values += [helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [1])]
    outputs = [ValueInfoProto(name="typeless"), *values[:2]]
    constant = numpy_helper.from_array(np.ones(weights), "w")
    graph = helper.make_graph([], "g", values, outputs, [constant], "what it is for")
    model = helper.make_model(graph, producer_name="a test", model_version=300)
    helper.set_model_props(model, {"author": "nobody"})
    path = tmp_path / "g.onnx"
    onnx.save(model, path)
    assert without_shape(path) == {
        value.name for value in [*values, *outputs] if not value.type.tensor_type.HasField("shape")
    }
