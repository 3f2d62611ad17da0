"""``gateway inspect`` as people call it, with and without the packages it can do without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.errors import ConfigError, ModelError
from tests.conftest import REPOSITORY, ROOT, linear_graph
from tests.gateway.inspection.graphs import branching_graph, outside_graph, shapeless_graph


@pytest.fixture(autouse=True)
def _wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "gateway.inspection.structure", raising=False)


def run(*args: str) -> str:
    result = CliRunner().invoke(app, ["inspect", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_all_of_a_models_files_are_shown() -> None:
    text = run("weight-change", "--repository", str(REPOSITORY))
    for words in (
        "weight-change/1/pytorch.onnx (served as lineage pytorch)",
        "weight-change/1/preprocess.onnx\n",
        "serving.export.fuse",
        "physical_activity_level         tensor(string)   batch × 1",
        "weight_change   tensor(float)   batch × 1",
        "ai.onnx 18, ai.onnx.ml 1; IR version 10",
        "404 float, 2 int64 (1.6 kB)",
        "ai.onnx.ml.OneHotEncoder   3",
    ):
        assert words in text


def test_json_holds_what_the_tables_show(tmp_path: Path) -> None:
    path = branching_graph(tmp_path / "branching.onnx")
    (file,) = json.loads(run(str(path), "--json"))["files"]
    assert (file["file"], file["lineage"], file["refusal"]) == ("branching.onnx", None, None)
    assert file["size"] == file["total_size"] == path.stat().st_size
    assert file["interface"]["inputs"][1] == {"name": "up", "type": "tensor(bool)", "shape": []}
    assert file["interface"]["producer"] == "a test"
    assert file["interface"]["metadata"] == {"author": "nobody"}
    assert file["interface"]["load_ms"] > 0
    assert file["structure"]["operators"]["If"] == 1
    text = run(str(path))
    for words in ("scalar", "author = nobody", "mine.Twice", "8 nodes"):
        assert words in text


def test_what_a_file_does_not_say_is_not_made_up(tmp_path: Path) -> None:
    path = shapeless_graph(tmp_path / "relu.onnx")
    text = run(str(path))
    assert "x        tensor(float)   not declared" in text
    assert "scalar" not in text
    assert "graph:       shapeless\n" in text
    (file,) = json.loads(run(str(path), "--json"))["files"]
    assert [value["shape"] for value in file["interface"]["inputs"]] == [None]
    assert file["interface"]["version"] is None


def test_parameters_beside_the_file_count_for_its_size(tmp_path: Path) -> None:
    path = outside_graph(tmp_path / "outside.onnx", 10_000)
    (file,) = json.loads(run(str(path), "--json"))["files"]
    assert file["total_size"] - file["size"] == (tmp_path / "weights.bin").stat().st_size >= 40_000
    assert "weights.bin: 40.0 kB" in run(str(path))


def test_a_file_that_onnx_runtime_refuses_is_still_shown(tmp_path: Path) -> None:
    path = outside_graph(tmp_path / "outside.onnx")
    (tmp_path / "weights.bin").unlink()
    text = run(str(path))
    assert "ONNX Runtime cannot load it: outside.onnx: " in text
    assert "weights.bin: is missing" in text
    assert "MatMul" in text


def test_the_graph_is_printed(tmp_path: Path) -> None:
    text = run(str(linear_graph(tmp_path / "linear.onnx", [0.5] * 9)), "--graph")
    assert text.startswith("# linear.onnx\n")
    assert "y = MatMul (x, w)" in text


@pytest.mark.usefixtures("without_onnx")
def test_without_onnx_what_onnx_runtime_knows_is_shown(tmp_path: Path) -> None:
    path = linear_graph(tmp_path / "linear.onnx", [1.0, 2.0])
    text = run(str(path))
    assert "x        tensor(float)   batch × 2" in text
    assert "needs the package onnx: pip install '.[onnx]'" in text
    (file,) = json.loads(run(str(path), "--json"))["files"]
    assert file["structure"] is None
    with pytest.raises(ConfigError, match="--graph needs the package onnx"):
        run(str(path), "--graph")
    path.write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"^linear\.onnx: "):
        run(str(path))


def test_netron_shows_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    netron: Any = ModuleType("netron")

    def start(file: str, address: tuple[str, int | None]) -> tuple[str, int]:
        shown.append((file, address))
        return "127.0.0.1", 8081

    netron.start = start
    netron.wait = lambda: shown.append("waited")
    monkeypatch.setitem(sys.modules, "netron", netron)
    path = linear_graph(tmp_path / "linear.onnx", [1.0])
    assert "linear.onnx: http://127.0.0.1:8081" in run(str(path), "--netron")
    assert shown == [(str(path), ("127.0.0.1", None)), "waited"]
    monkeypatch.setitem(sys.modules, "netron", None)
    with pytest.raises(ConfigError, match="pip install netron"):
        run(str(path), "--netron")


def test_the_server_and_its_command_line_do_without_onnx() -> None:
    code = "import sys, gateway.app, gateway.cli; sys.exit('onnx' in sys.modules)"
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environ, check=False).returncode == 0
