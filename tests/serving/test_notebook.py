"""The guided notebook: it runs from first to last cell, and what is committed can be read."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "serving" / "notebooks" / "weight_change.ipynb"
#: Few rows, short measurements, and one server beside ONNX Runtime.
SMALL = {
    "NOTEBOOK_ROWS": "500",
    "NOTEBOOK_EPOCHS": "2",
    "NOTEBOOK_SECONDS": "0.1",
    "NOTEBOOK_ROUNDS": "1",
    "NOTEBOOK_SERVERS": "tfserving",
}
_RUN = "NOTEBOOK_TEST_RUN"
#: Seconds of one cell.
_PATIENCE_S = 600


@pytest.fixture
def run_id(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The environment of a short run; processes that a failed one leaves are ended."""
    identity = uuid.uuid4().hex
    for name, value in (SMALL | {_RUN: identity, "PYTHONPATH": str(ROOT)}).items():
        monkeypatch.setenv(name, value)
    yield identity
    for process in _of_run(identity):
        with contextlib.suppress(psutil.Error):
            process.kill()


@pytest.mark.timeout(900)
def test_notebook_runs_and_leaves_nothing_behind(
    run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # The kernel's own profile and history.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.chdir(tmp_path)
    notebook = _committed()
    NotebookClient(notebook, timeout=_PATIENCE_S, kernel_name="python3").execute()
    said = _said(notebook)
    assert "500 rows to train on, 10,000 to judge by" in said
    assert "onnx/tensorflow against tfserving/tensorflow: equivalent" in said
    assert len(_pictures(notebook)) == len(_pictures(_committed()))
    assert list(_of_run(run_id)) == []
    left = {path.name for path in tmp_path.iterdir()} - {"ipython", "runtime"}
    # PyTorch keeps a cache there, whoever calls it.
    assert {name for name in left if not name.startswith("torchinductor_")} == set()


def test_committed_outputs_are_of_a_whole_run_and_name_no_machine() -> None:
    notebook = _committed()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    said = _said(notebook)
    assert "40,000 rows to train on" in said
    assert said.count(": equivalent; ") == 2
    assert re.findall(r"(?:/tmp|/home|/root|/work|/usr|site-packages)[/\w]*", said) == []
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert NOTEBOOK.stat().st_size < 400_000


def _committed() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def _of_run(identity: str) -> Iterator[psutil.Process]:
    """Processes with this run's variable in their environment, but this one."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(_RUN) == identity:
                yield process


def _outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def _said(notebook: Any) -> str:
    """All text of all outputs."""
    texts: list[str] = []
    for output in _outputs(notebook):
        texts.append(output.get("text", ""))
        texts += [text for kind, text in output.get("data", {}).items() if kind != "image/png"]
    return "\n".join(texts)


def _pictures(notebook: Any) -> list[str]:
    data = [output.get("data", {}) for output in _outputs(notebook)]
    return [one["image/png"] for one in data if "image/png" in one]
