"""What is inside a file: nodes of all depths, parameters wherever they are."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from gateway.errors import ModelError
from gateway.inspection.structure import External, print_graph, read_structure
from tests.conftest import REPOSITORY, linear_graph
from tests.gateway.inspection.graphs import branching_graph, outside_graph


def test_subgraphs_functions_and_constants_count(tmp_path: Path) -> None:
    found = read_structure(branching_graph(tmp_path / "g.onnx"))
    assert found.operators == {
        "Add": 2, "Constant": 2, "mine.Twice": 1, "If": 1, "Sub": 1, "Cast": 1
    }  # fmt: skip
    assert found.nodes == 8
    assert found.functions == ("mine.Twice",)
    assert found.parameters == {"float16": 12, "float": 2}
    assert found.parameter_bytes == 12 * 2 + 2 * 4
    assert found.opsets == {"": 18, "mine": 1}
    assert (found.ir_version, found.external) == (10, ())


def test_the_example_is_counted_as_onnx_counts_it() -> None:
    path = REPOSITORY / "weight-change" / "1" / "pytorch.onnx"
    model = onnx.load(str(path))
    found = read_structure(path)
    assert found.nodes == len(model.graph.node)
    sizes = [onnx.numpy_helper.to_array(one) for one in model.graph.initializer]
    assert sum(found.parameters.values()) == sum(array.size for array in sizes)
    assert found.parameter_bytes == sum(array.nbytes for array in sizes)


def test_parameters_beside_the_graph(tmp_path: Path) -> None:
    path = outside_graph(tmp_path / "g.onnx")
    found = read_structure(path)
    size = (tmp_path / "weights.bin").stat().st_size
    assert found.external == (External("weights.bin", size),)
    assert (found.parameters, found.parameter_bytes) == ({"float": 512}, 2048)
    (tmp_path / "weights.bin").unlink()
    assert read_structure(path).external == (External("weights.bin", None),)


def test_what_lies_elsewhere_is_not_looked_at(tmp_path: Path) -> None:
    path = outside_graph(tmp_path / "g.onnx")
    (tmp_path / "secret").write_bytes(b"123")
    (tmp_path / "model").mkdir()
    model = onnx.load(str(path), load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../secret"
    (tmp_path / "model" / "g.onnx").write_bytes(model.SerializeToString())
    found = read_structure(tmp_path / "model" / "g.onnx")
    assert found.external == (External("../secret", None),)


def test_the_graph_as_text(tmp_path: Path) -> None:
    text = print_graph(branching_graph(tmp_path / "g.onnx"))
    for words in ("mine.Twice (x)", "then_branch", 'half = ["values": "12"]', "{1}", '"a test"'):
        assert words in text
    text = print_graph(linear_graph(tmp_path / "l.onnx", [1.5] * 9))
    assert "MatMul (x, w)" in text
    assert "1.5" not in text
    assert '"values": "512"' in print_graph(outside_graph(tmp_path / "o.onnx"))


@pytest.mark.parametrize("content", [b"not a graph", b""])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g.onnx").write_bytes(content)
    for read in (read_structure, print_graph):
        with pytest.raises(ModelError, match=r"^g\.onnx: it is no ONNX model"):
            read(tmp_path / "g.onnx")
