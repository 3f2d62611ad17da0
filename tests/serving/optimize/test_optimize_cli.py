"""``gateway optimize`` as people call it: figures, refusals, and files that serve."""

from __future__ import annotations

import json
import sys
import time
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

from gateway.errors import ConfigError, InvalidInput, ModelError
from gateway.models.graph import Graph
from gateway.models.repository import Repository
from gateway.models.rows import Rows
from serving.experiments.sessions import operators
from serving.experiments.subject import find_subjects
from serving.optimize import forms as made
from serving.optimize import measure
from serving.optimize.cli import optimize
from serving.optimize.measure import count_within
from tests.conftest import REPOSITORY, ROOT, TALK, linear_graph, mixed_graph, save, write_model
from tests.gateway.inspection.graphs import outside_graph

QUICK = ["--rounds", "1", "--slice", "0.001", "--rows", "1,4"]
EXAMPLE = ["weight-change", "--repository", str(REPOSITORY), "--lineage", "pytorch"]
PYTORCH = REPOSITORY / "weight-change" / "1" / "pytorch.onnx"


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(optimize)
    return app


def invoke(*args: str) -> Result:
    return CliRunner().invoke(_app(), [*args, *QUICK], catch_exceptions=False)


def run(*args: str) -> Any:
    """The findings of the one graph."""
    result = invoke(*args, "--json")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)
    return found


def forms(found: Any) -> dict[str, Any]:
    return {form["name"]: form for form in found["forms"]}


def test_the_command_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    value = project["entry-points"]["gateway.commands"]["optimize"]
    assert EntryPoint("optimize", value, "gateway.commands").load() is optimize
    assert project["optional-dependencies"]["onnx"]


def test_the_example_is_held_against_its_forms() -> None:
    found = run(*EXAMPLE)
    by_name = forms(found)
    assert list(by_name) == ["original", "basic", "extended", "all", "int8"]
    assert (found["graph"], found["rows"]) == ("weight-change/1/pytorch.onnx", 513)
    original = by_name["original"]
    assert original["size"] == PYTORCH.stat().st_size
    assert original["nodes"] == len(onnx.load(str(PYTORCH)).graph.node)
    assert (original["difference"], original["within"]) == (0, 513)
    for name in ("basic", "extended", "all"):
        assert by_name[name]["nodes"] < original["nodes"]
        assert by_name[name]["difference"] <= found["tolerance"]
        assert by_name[name]["within"] == 513
    assert by_name["int8"]["difference"] > found["tolerance"]
    assert by_name["int8"]["within"] < 513
    for form in by_name.values():
        assert [timing["batch"] for timing in form["calls"]] == [1, 4]
        assert all(timing["call_us"]["low"] > 0 for timing in form["calls"])
        assert form["load_ms"]["median"] > 0
    assert [timing["ratio"]["median"] for timing in original["calls"]] == [1, 1]


def test_all_lineages_are_shown_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in REPOSITORY.rglob("*")}
    result = invoke(*EXAMPLE[:3])
    assert result.exit_code == 0, result.output
    for words in ("1/pytorch.onnx", "1/tensorflow.onnx", "within, of 513", "×", "allowed: 0.0001"):
        assert words in result.stdout
    assert "preprocess.onnx" not in result.stdout
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in REPOSITORY.rglob("*")} == before


def test_a_form_within_the_tolerance_is_written_and_serves(tmp_path: Path) -> None:
    out = tmp_path / "extended.onnx"
    result = invoke(*EXAMPLE, "--form", "extended", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert f"written: {out}" in result.stderr
    assert len(operators(out)) < len(operators(PYTORCH))
    rows = Repository.scan(REPOSITORY).get().validator.convert([TALK])
    one, other = (Graph(path, threads=1).run(rows)["weight_change"] for path in (out, PYTORCH))
    assert one.ravel().tolist() == pytest.approx(other.ravel().tolist(), abs=1e-4)


def test_a_form_beyond_the_tolerance_is_written_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "int8.onnx"
    write = [*EXAMPLE, "--form", "int8", "--out", str(out)]
    with pytest.raises(ModelError, match=r"int8: it differs .*0\.0001 is allowed; .*--force"):
        invoke(*write)
    assert not out.exists()
    assert invoke(*write, "--force").exit_code == 0
    assert "MatMulInteger" in operators(out)
    out.unlink()
    assert invoke(*write, "--tolerance", "100").exit_code == 0
    assert "MatMulInteger" in operators(out)


def test_what_is_refused(tmp_path: Path) -> None:
    there = tmp_path / "there.onnx"
    there.write_text("mine")
    for args, words in (
        ([*EXAMPLE, "--form", "all", "--out", str(there)], "nothing is overwritten"),
        ([*EXAMPLE, "--form", "all"], "give both, or neither"),
        ([*EXAMPLE, "--out", "x"], "give both, or neither"),
        ([*EXAMPLE, "--form", "all", "--out", str(tmp_path / "no" / "x")], "there is no folder"),
        (["weight-change", *EXAMPLE[1:3], "--form", "all", "--out", "x"], "pytorch, tensorflow"),
    ):
        with pytest.raises(ConfigError, match=words):
            invoke(*args)
    assert there.read_text() == "mine"
    result = CliRunner().invoke(_app(), [*EXAMPLE, "--rows", "1,x"])
    assert result.exit_code == 2
    assert "'1,x' is not numbers" in result.stderr


def test_rows_of_ones_own(tmp_path: Path) -> None:
    data = tmp_path / "payloads.json"
    data.write_text(json.dumps({"instances": [TALK] * 3}))
    found = run(*EXAMPLE, "--data", str(data))
    assert (found["rows"], found["rows_from"]) == (3, "from payloads.json")
    data.write_text(json.dumps(TALK | {"age": "old"}))
    with pytest.raises(InvalidInput, match="age"):
        run(*EXAMPLE, "--data", str(data))


def test_a_plain_file_with_nothing_to_quantize(tmp_path: Path) -> None:
    path = mixed_graph(tmp_path / "mixed.onnx")
    found = run(str(path))
    assert forms(found)["int8"]["reason"].startswith("nothing to quantize")
    assert forms(found)["all"]["within"] == 513
    assert "int8: nothing to quantize" in invoke(str(path)).stdout
    with pytest.raises(ModelError, match="int8: nothing to quantize"):
        invoke(str(path), "--form", "int8", "--out", str(tmp_path / "x.onnx"))


def test_a_graph_of_fixed_batch_is_timed_at_it(tmp_path: Path) -> None:
    found = run(str(linear_graph(tmp_path / "fixed.onnx", [1.0, 2.0], batch=4)))
    assert [timing["batch"] for timing in found["forms"][0]["calls"]] == [4]
    assert found["rows"] == found["forms"][1]["within"] == 513


def test_tensors_of_any_size_are_drawn_in_the_examples(tmp_path: Path) -> None:
    inputs = {"ids": TensorProto.INT64, "mask": TensorProto.INT64}
    table = numpy_helper.from_array(np.ones((8, 4), np.float32), "table")
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["embedded"]),
        helper.make_node("Cast", ["mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["wide"]),
        helper.make_node("Mul", ["embedded", "wide"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "text",
        [helper.make_tensor_value_info(n, kind, ["n", "length"]) for n, kind in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "length", 4])],
        [table, numpy_helper.from_array(np.array([2]), "last")],
    )
    path = save(graph, tmp_path / "text.onnx")
    assert Repository.scan(path).get().manifest.batched
    found = run(str(path))
    assert found["rows"] == forms(found)["basic"]["within"] == 513
    assert [timing["batch"] for timing in found["forms"][0]["calls"]] == [1, 4]


def test_a_graph_without_a_batch_is_timed_a_call_an_instance(tmp_path: Path) -> None:
    shapes: dict[str, list[str | int | None]] = {"a": [2, "k"], "b": ["k", 3]}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["y"])],
        "product",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
    )
    found = run(str(save(graph, tmp_path / "product.onnx")))
    assert found["rows"] == forms(found)["basic"]["within"] == 513
    assert [timing["batch"] for timing in found["forms"][0]["calls"]] == [1]


def test_features_may_have_other_names_than_inputs(tmp_path: Path) -> None:
    onnx_options = {"artifact": "linear.onnx", "inputs": {"pixels": "x"}}
    manifest = {
        "name": "renamed",
        "features": [{"name": "pixels", "type": "tensor", "shape": [2]}],
        "outputs": [{"name": "y"}],
        "backends": {"onnx": {"lineages": {"mine": onnx_options}}},
    }
    folder = write_model(tmp_path / "renamed", manifest)
    linear_graph(folder / "linear.onnx", [1.0, 2.0])
    found = run("renamed", "--repository", str(tmp_path))
    assert found["graph"] == "renamed/1/linear.onnx"
    assert forms(found)["basic"]["within"] == 513


def test_parameters_beside_the_graph_are_counted_and_quantized(tmp_path: Path) -> None:
    path = outside_graph(tmp_path / "outside.onnx", 4096)
    by_name = forms(run(str(path), "--tolerance", "3"))
    assert by_name["original"]["size"] > 4096 * 4
    assert 4096 <= by_name["int8"]["size"] < by_name["original"]["size"] / 3
    assert by_name["int8"]["within"] == 513


@pytest.mark.parametrize("name", ["basic", "int8"])
def test_a_form_that_answers_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    right = linear_graph(tmp_path / "right.onnx", [1.0, 2.0])
    wrong = linear_graph(tmp_path / "wrong.onnx", [1.0, 2.5])
    make = made.make_form

    def planted(which: str, source: Path, target: Path) -> None:
        make(which, source, target)
        if which == name:
            target.write_bytes(wrong.read_bytes())

    monkeypatch.setattr(measure, "make_form", planted)
    with pytest.raises(ModelError, match=rf"^{name}: it differs"):
        invoke(str(right), "--tolerance", "0.1", "--form", name, "--out", str(tmp_path / "x.onnx"))
    assert not (tmp_path / "x.onnx").exists()


def test_a_slow_model_is_compared_on_fewer_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "row_seconds", lambda subject, rows: 0.1)
    path = str(linear_graph(tmp_path / "linear.onnx", [1.0]))
    found = run(path)
    assert found["rows"] == 51
    assert [timing["batch"] for timing in found["forms"][0]["calls"]] == [1, 4]
    told = CliRunner().invoke(_app(), [path, "--json", "--rounds", "1", "--slice", "0.001"])
    (found,) = json.loads(told.stdout)
    assert [timing["batch"] for timing in found["forms"][0]["calls"]] == [1]


def test_one_slow_call_does_not_say_what_a_row_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (subject,) = find_subjects(tmp_path, None, linear_graph(tmp_path / "linear.onnx", [1.0]))
    rows = Rows({"x": np.zeros((2, 1), np.float32)}, 2)
    waits = [0.0, 0.2, 0.0, 0.0, 0.0, 0.0]
    graph_run = Graph.run

    def run(graph: Graph, rows: Rows) -> Any:
        time.sleep(waits.pop(0))
        return graph_run(graph, rows)

    monkeypatch.setattr(Graph, "run", run)
    assert measure.row_seconds(subject, rows) < 0.05
    assert waits == []
    waits += [0.0, 1.1]
    assert measure.row_seconds(subject, rows) > 0.5, "a slow model is not called five times"


def test_json_spells_infinity_as_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "largest_difference", lambda *_: float("inf"))
    result = invoke(str(linear_graph(tmp_path / "linear.onnx", [1.0])), "--json")
    assert "Infinity" not in result.stdout
    (found,) = json.loads(result.stdout)
    assert forms(found)["all"]["difference"] is None


def test_rows_within_the_tolerance_are_counted_by_row() -> None:
    base = {"a": np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]]), "b": np.array(["x", "y", "z"])}
    near = {"a": np.array([[1.0, 2.05], [3.0, np.nan], [5.0, 7.0]]), "b": base["b"]}
    assert count_within(base, base, 0.0) == 3
    assert count_within(near, base, 0.1) == 2
    assert count_within(near | {"b": np.array(["x", "x", "z"])}, base, 0.1) == 1
    assert count_within(near | {"a": base["a"][:2]}, base, 9.0) == 0


def test_a_graph_that_cannot_run_is_refused(tmp_path: Path) -> None:
    path = outside_graph(tmp_path / "outside.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"^outside\.onnx: "):
        run(str(path))


def test_without_onnx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("serving.optimize.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "serving.experiments.sessions", raising=False)
    with pytest.raises(ConfigError, match=r"pip install '\.\[onnx\]'"):
        run(*EXAMPLE)
