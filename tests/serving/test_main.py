"""``python -m serving`` as people call it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.__main__ import app
from serving.example import GoalMissed
from serving.export.errors import ParityError
from tests.conftest import ROOT


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python with the checkout on its path, in another folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_both_commands_without_loading_frameworks(tmp_path: Path) -> None:
    code = (
        "import sys; from serving.__main__ import app; app(['--help'], standalone_mode=False);"
        "print('loaded:', sorted({'torch', 'tensorflow', 'sklearn', 'aiohttp'} & set(sys.modules)))"
    )
    told = run("-c", code, folder=tmp_path)
    assert told.returncode == 0, told.stderr
    assert " build " in told.stdout
    assert " tfserving-standin " in told.stdout
    assert "loaded: []" in told.stdout


def test_stand_in_gets_its_own_options(tmp_path: Path) -> None:
    told = run("-m", "serving", "tfserving-standin", "--help", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "--rest_api_port" in told.stdout
    assert "stand-in" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no model 'nothing'; there is: weight-change"),
        (["weight-change", "--rows", "1"], "--rows"),
        (["weight-change", "--evaluate", "absent.csv"], "absent.csv"),
        (["digit-three", "--epochs", "3"], "--epochs"),
        (["digit-three", "--rows", "40000"], "--rows"),
    ],
)
def test_wrong_arguments_are_told_and_build_nothing(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    told = run("-m", "serving", "build", "--out", "out", *arguments, folder=tmp_path)
    assert told.returncode == 2
    assert message in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_framework_is_named_with_what_installs_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['skl2onnx'] = None; from serving.__main__ import app;"
        "app(['build', 'weight-change', '--out', 'out'])"
    )
    told = run("-c", code, folder=tmp_path)
    assert told.returncode == 1
    assert "skl2onnx is not installed; building needs: pip install '.[train]'" in told.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [GoalMissed("right on 90.0%"), ParityError("differs by 0.5")])
def test_a_build_that_is_given_up_says_so_in_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_model(*_: object) -> None:
        raise error

    monkeypatch.setattr("serving.build.build_model", build_model)
    told = CliRunner().invoke(app, ["build", "digit-three"])
    assert told.exit_code == 1
    assert told.stderr == f"error: {error}\n"
