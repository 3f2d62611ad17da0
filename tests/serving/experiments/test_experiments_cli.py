"""``python -m serving experiment`` as people call it."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.__main__ import app
from serving.experiments.findings import Levels, Providers
from tests.conftest import linear_graph

QUICK = ["--quick", "--rows", "1,8"]


@pytest.mark.parametrize(("name", "kind"), [("levels", Levels), ("providers", Providers)])
def test_table_figures_and_plot_are_written(tmp_path: Path, name: str, kind: type) -> None:
    out = tmp_path / "a" / "b"
    told = CliRunner().invoke(app, ["experiment", name, *QUICK, "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert "weight-change/1/pytorch.onnx" in told.output
    assert sorted(file.name for file in out.iterdir()) == [
        f"{name}.json",
        f"{name}.md",
        f"{name}.svg",
    ]
    figures = json.loads((out / f"{name}.json").read_text())
    assert set(figures) == set(kind.__annotations__)
    table = (out / f"{name}.md").read_text()
    assert re.search(r"^\|-+\|", table, re.MULTILINE)
    assert "threads: 1" in table
    assert str(tmp_path) not in table + (out / f"{name}.json").read_text()
    assert ET.parse(out / f"{name}.svg").getroot().tag.endswith("svg")


def test_a_graph_of_ones_own_and_a_plot_as_png(tmp_path: Path) -> None:
    path = linear_graph(tmp_path / "own.onnx", [1.0, 2.0])
    arguments = ["--graph", str(path), "--out", str(tmp_path / "out"), "--plot", "png"]
    told = CliRunner().invoke(app, ["experiment", "levels", *QUICK, *arguments])
    assert told.exit_code == 0, told.output
    assert "own.onnx" in told.output
    assert (tmp_path / "out" / "levels.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["levels", "--rows", "1,x"], 2, "'1,x' is not numbers like 1,8,64"),
        (["levels", "--rows", "0"], 2, "'0' is not numbers like 1,8,64"),
        (["engines", "--inputs", ""], 2, "--inputs"),
        (["levels", "--model", "nothing"], 1, "weight-change"),
        (["providers", "--graph", "absent.onnx"], 1, "there is no such .onnx file"),
    ],
)
def test_wrong_arguments_are_told(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    command = ["experiment", *arguments, "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(app, command, terminal_width=200)
    assert told.exit_code == code
    assert message in " ".join(told.output.split())
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "serving.experiments.plots", raising=False)
    command = ["experiment", "levels", *QUICK, "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 1
    assert told.output.strip().endswith(
        "matplotlib is not installed; the experiments need: pip install '.[train,compare]'"
    )
