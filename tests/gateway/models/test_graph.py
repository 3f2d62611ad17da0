"""Graphs: types, ranks, fixed batches, threads; and manifests derived from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.errors import ModelError
from gateway.models.derive import derive_manifest
from gateway.models.graph import Graph
from gateway.models.rows import Rows
from gateway.models.validator import Validator
from tests.conftest import linear_graph, mixed_graph


def rows_of(count: int) -> Rows:
    return Rows({"x": np.arange(count * 3, dtype=np.float32).reshape(count, 3)}, count)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("batch", ["batch", 1, 3])
def test_a_graph_answers_any_number_of_rows(tmp_path: Path, batch: int | str, count: int) -> None:
    graph = Graph(linear_graph(tmp_path / "g.onnx", [1.0, 2.0, 3.0], batch), threads=1)
    rows = rows_of(count)
    assert graph.fixed_batch == (batch if isinstance(batch, int) else None)
    expected = rows.columns["x"] @ np.array([[1.0], [2.0], [3.0]], dtype=np.float32)
    np.testing.assert_array_equal(graph.run(rows)["y"], expected)


def test_columns_are_cast_to_the_graphs_types(tmp_path: Path) -> None:
    graph = Graph(mixed_graph(tmp_path / "g.onnx"), threads=1)
    validator = Validator(derive_manifest(graph.path))
    rows = validator.decode(b'{"count": 3, "size": 0.5, "big": true, "name": "x"}')
    outputs = graph.run(rows)
    assert outputs["total"].tolist() == [[103.5]]
    assert outputs["named"].tolist() == [["x"]]


def test_a_manifest_is_derived_from_the_graph(tmp_path: Path) -> None:
    manifest = derive_manifest(mixed_graph(tmp_path / "my graph (2).onnx"))
    assert manifest.name == "my-graph-2"
    assert [(f.name, f.type, f.element) for f in manifest.features] == [
        ("count", "integer", "int64"),
        ("size", "number", "float32"),
        ("big", "boolean", "bool"),
        ("name", "string", "string"),
    ]
    tensor = derive_manifest(linear_graph(tmp_path / "linear.onnx", [1.0, 2.0]))
    assert (tensor.features[0].type, tensor.features[0].shape) == ("tensor", (2,))
    assert tensor.outputs[0].shape == ()


def test_inputs_must_be_the_features(tmp_path: Path) -> None:
    graph = Graph(mixed_graph(tmp_path / "g.onnx"))
    with pytest.raises(ModelError, match="colour"):
        graph.check_inputs({"count", "size", "big", "colour"})


def test_whole_numbers_have_no_gaps(tmp_path: Path) -> None:
    graph = Graph(mixed_graph(tmp_path / "g.onnx"))
    graph.check_inputs(set(graph.inputs), {"size"})
    with pytest.raises(
        ModelError, match="feature count has finite: false, but the graph takes int64"
    ):
        graph.check_inputs(set(graph.inputs), {"count"})


def test_a_file_that_is_no_graph(tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"g\.onnx"):
        Graph(tmp_path / "g.onnx")
