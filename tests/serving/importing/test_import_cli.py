"""``python -m serving import`` as people call it, and the two commands of the documentation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.conftest import ROOT
from tests.serving.importing.conftest import pipeline

DOCS = ROOT / "docs" / "importing.md"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving", "import", *arguments],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def _served(*arguments: str, folder: Path) -> Iterator[str]:
    """The address of ``gateway`` with these arguments, once it listens."""
    command = [sys.executable, "-m", "gateway", *arguments, "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env=_environment(), stderr=subprocess.STDOUT, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            said = b""
            for line in process.stdout:
                said += line
                if found := re.search(rb"http://[\d.]+:\d+", line):
                    yield found[0].decode()
                    return
            pytest.fail(said.decode())
        finally:
            process.kill()


def _ask(url: str, payload: Any = None) -> Any:
    body = None if payload is None else json.dumps(payload).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


@pytest.fixture
def folder(frame: Any, data: Path) -> Path:
    """What the documentation starts from: ``pipeline.joblib`` and ``data.csv``."""
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    joblib.dump(fitted, data.parent / "pipeline.joblib")
    return data.parent


def test_two_commands_lead_from_a_pipeline_to_an_endpoint(folder: Path, frame: Any) -> None:
    documented = re.findall(
        r"^(?:python -m serving import|gateway serve) .*$", DOCS.read_text(), re.M
    )
    first, second = (line.split() for line in documented[:2])
    told = _run(*first[4:], folder=folder)
    assert told.returncode == 0, told.stderr
    assert "seen in training: 18–69" in told.stdout
    assert "serve it: gateway serve models" in told.stdout
    fitted = joblib.load(folder / "pipeline.joblib")
    row = {"age": 40, "income": 36_000.5, "city": "Oslo", "home plan": "b"}
    expected = fitted.predict_proba(frame.assign(**row)[:1])[0]
    with _served(*second[1:], folder=folder) as url:
        answer = _ask(f"{url}/v1/predict", row)
        (prediction,) = answer["predictions"]
        np.testing.assert_allclose(prediction["probability"], expected, atol=1e-5)
        assert answer["backend"] == "onnx"
        (result,) = _ask(f"{url}/v1/compare", row)["results"]
        np.testing.assert_allclose(result["predictions"][0]["probability"], expected, atol=1e-5)
        (model,) = _ask(f"{url}/v1/models")["models"]
        assert model["name"] == "pipeline"
        features = {f["name"]: f for f in _ask(f"{url}/v1/models/pipeline")["features"]}
        assert features["city"]["categories"] == ["Lima", "Oslo", "Rome"]
        document = json.dumps(_ask(f"{url}/openapi.json"))
        assert all(f'"{name}"' in document for name in row)


def test_refusals_are_one_line_and_write_nothing(folder: Path) -> None:
    told = _run("pipeline.joblib", "--sample", "data.csv", folder=folder)
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert line.startswith("error: pipeline.joblib is a pickle")
    assert line.endswith("--trust")
    assert not (folder / "models").exists()
    told = _run("--help", folder=folder)
    assert "runs code" in told.stdout


def test_missing_framework_is_named_with_what_installs_it(folder: Path) -> None:
    code = (
        "import sys; sys.modules['skl2onnx'] = None; from serving.__main__ import app;"
        "app(['import', 'pipeline.joblib', '--trust'])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "skl2onnx is not installed; the import needs: pip install '.[train]'" in told.stderr
    assert not (folder / "models").exists()
