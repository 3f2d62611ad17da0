"""Import of ready ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gateway.models.graph import Graph
from gateway.models.repository import Repository
from serving.importing.errors import ImportRefused
from serving.importing.importer import Imported
from tests.conftest import linear_graph, mixed_graph

Take = Callable[..., Imported]


def test_ready_graph_is_described_by_itself(take: Take, tmp_path: Path) -> None:
    source = mixed_graph(tmp_path / "mixed.onnx")
    imported = take(source=str(source), outputs=("sum", "word"))
    features = [(feature.name, feature.type) for feature in imported.manifest.features]
    assert features == [
        ("count", "integer"), ("size", "number"), ("big", "boolean"), ("name", "string"),
    ]  # fmt: skip
    entry = Repository.scan(imported.folder).get()
    graph = Graph(entry.artifact("original.onnx"), threads=1)
    row = {"count": 2, "size": 0.5, "big": True, "name": "é"}
    answer = graph.run(entry.validator.convert([row]))
    assert answer["sum"].ravel().tolist() == [102.5]
    assert answer["word"].ravel().tolist() == ["é"]


def test_columns_of_a_sample_name_the_elements_of_its_tensor(take: Take, tmp_path: Path) -> None:
    source = linear_graph(tmp_path / "line.onnx", [1.0, 10.0])
    (tmp_path / "rows.csv").write_text("x,b,price\n1,2,7\n3,4.5,8\n")
    imported = take(
        source=str(source), sample=tmp_path / "rows.csv", targets=("price",), name="line"
    )
    assert [(f.name, f.type, f.range) for f in imported.manifest.features] == [
        ("x", "integer", (1, 3)),
        ("b", "number", (2.0, 4.5)),
    ]
    entry = Repository.scan(imported.folder).get()
    answer = Graph(entry.artifact("original.onnx")).run(entry.validator.convert([{"x": 2, "b": 3}]))
    assert answer["y"].ravel().tolist() == [32.0]
    with pytest.raises(ImportRefused, match="--target cost: the sample has only x, b, price"):
        take(source=str(source), sample=tmp_path / "rows.csv", targets=("cost",), name="other")


def test_a_graph_that_mixes_rows_is_refused(take: Take, tmp_path: Path) -> None:
    """Its first dimension looks like a batch, and is none: rows that come together would change."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["m"], keepdims=1, axes=[0]),
         helper.make_node("Sub", ["x", "m"], ["y"])],
        "centred",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )  # fmt: skip
    with pytest.raises(ImportRefused, match=r"differs from the original|no batch dimension"):
        take(source=str(_opset_13(graph, tmp_path / "centred.onnx")))
    assert not (tmp_path / "models").exists()


def test_preprocessing_of_another_opset_is_merged(take: Take, tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Concat", ["a", "b"], ["both"], axis=1)],
        "join",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 1]) for n in "ab"],
        [helper.make_tensor_value_info("both", TensorProto.FLOAT, ["n", 2])],
    )
    front = _opset_13(graph, tmp_path / "front.onnx")
    source = linear_graph(tmp_path / "line.onnx", [1.0, 10.0])
    imported = take(source=str(source), preprocess=front)
    assert [feature.name for feature in imported.manifest.features] == ["a", "b"]
    entry = Repository.scan(imported.folder).get()
    answer = Graph(entry.artifact("original.onnx")).run(entry.validator.convert([{"a": 1, "b": 2}]))
    assert np.ravel(answer["y"]).tolist() == [21.0]
    mixed = mixed_graph(tmp_path / "mixed.onnx")
    with pytest.raises(ImportRefused, match="one output, and the model one input"):
        take(source=str(source), preprocess=mixed, name="other")


def test_broken_and_absent_files_are_refused(take: Take, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(ImportRefused, match=r"broken\.onnx"):
        take(source=str(tmp_path / "broken.onnx"))
    with pytest.raises(ImportRefused, match="no such file"):
        take(source=str(tmp_path / "absent.onnx"))


def _opset_13(graph: onnx.GraphProto, path: Path) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path
