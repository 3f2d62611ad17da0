"""``python -m serving stage`` where a stage needs no framework, and what it says when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.__main__ import app
from serving.weight_change import data
from serving.weight_change.definition import NAME
from tests.serving.test_main import run

OK, FAILED, MISUSED = 0, 1, 2


def _stage(*arguments: str) -> tuple[int, str]:
    told = CliRunner().invoke(app, ["stage", *arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})
    return told.exit_code, told.output


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages set TensorFlow's variables for their own process; back after the test."""
    from serving import build

    for name in build.TENSORFLOW:
        monkeypatch.setenv(name, "")


def test_data_is_the_generators_rows_and_loads_no_network(tmp_path: Path) -> None:
    code = (
        "import sys; from serving.__main__ import app;"
        "arguments = ['stage', 'data', 'weight-change', '--rows', '120', '--seed', '7'];"
        "app(arguments, standalone_mode=False);"
        "print('loaded:', sorted({'torch', 'tensorflow', 'sklearn'} & set(sys.modules)))"
    )
    told = run("-c", code, folder=tmp_path)
    assert told.returncode == OK, told.stderr
    assert "loaded: []" in told.stdout
    folder = tmp_path / "pipeline" / "data"
    assert data.read_csv(folder / "training.csv").sha256() == data.generate(120, 7).sha256()
    assert data.read_csv(folder / "held_out.csv").sha256() == data.generate(10_000, 8).sha256()
    assert json.loads((folder / "made.json").read_text()) == {
        "seeds": {"training_rows": 7, "held_out_rows": 8, "parity_rows": 9}
    }


def test_original_rows_are_kept_to_judge_by_and_gone_when_left_out(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(data.generate(5, 1).csv_text())
    arguments = ["data", NAME, "--work", str(tmp_path / "w"), "--rows", "100"]
    kept = tmp_path / "w" / "data" / "original.csv"
    assert _stage(*arguments, "--evaluate", str(tmp_path / "rows.csv"))[0] == OK
    assert kept.read_text() == (tmp_path / "rows.csv").read_text()
    assert _stage(*arguments)[0] == OK
    assert not kept.exists()


def test_install_copies_the_finished_folder(tmp_path: Path) -> None:
    version = tmp_path / "w" / "repository" / NAME / "1"
    version.mkdir(parents=True)
    (version / "file").write_text("new")
    (version.parent / "model.yaml").write_text("new")
    out = tmp_path / "out"
    assert _stage("install", NAME, "--work", str(tmp_path / "w"), "--out", str(out))[0] == OK
    assert (out / NAME / "1" / "file").read_text() == "new"
    assert (out / NAME / "model.yaml").read_text() == "new"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["data", "nothing"], MISUSED, "no model 'nothing'; there is: weight-change"),
        (["data", "digit-three"], MISUSED, "digit-three has a build of its own, without stages"),
        (["data", NAME, "--evaluate", "absent.csv"], FAILED, "error: absent.csv: there is no such"),
        (["data", NAME, "--evaluate", "strange.csv"], FAILED, "error: strange.csv: no column age"),
        (["train-pytorch", NAME], FAILED, "training.csv: there is no such file; has the stage"),
        (["install", NAME], FAILED, "there is no such file; has the stage"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    (tmp_path / "strange.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    returned, said = _stage(*arguments)
    assert returned == code
    assert message in said
    assert [path.name for path in tmp_path.iterdir()] == ["strange.csv"]
