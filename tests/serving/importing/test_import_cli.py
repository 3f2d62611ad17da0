"""``python -m serving import`` as people call it, and the two commands of the documentation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from gateway.errors import ModelError
from serving.__main__ import app
from serving.importing.request import Request
from tests.conftest import ROOT
from tests.processes import Gateway
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
    assert second[:2] == ["gateway", "serve"]
    with Gateway(folder / second[2], *second[3:]) as gateway:
        url = gateway.url
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


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("raise OSError(28, 'No space left on device')", "No space left on device"),
        ("raise subprocess.CalledProcessError(3, ['archiver'])", "could not be packed: status 3"),
        ("raise ModelError('no such artifact')", "no such artifact"),
        ("import my_features", "imports my_features, which is not here; run the import where"),
        ("import skops.absent", "skops.absent is not installed; .*'.\\[train\\]'"),
        ("import pandas.absent", "pandas.absent is not installed; .*'.\\[train\\]'"),
    ],
)
def test_what_stops_an_import_is_told_in_one_line(
    planted: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_model(request: Request) -> None:
        exec(planted, {"subprocess": subprocess, "ModelError": ModelError})

    monkeypatch.setattr("serving.importing.importer.import_model", import_model)
    told = CliRunner().invoke(app, ["import", "pipeline.joblib"])
    assert told.exit_code == 1
    (line,) = told.stderr.splitlines()
    assert re.match(f"error: .*{said}", line), line
    assert "pip install my_features" not in line


@pytest.mark.parametrize("name", ["x/net", "../../stray", "..", "", "/tmp/net"])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_made(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*anything: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("serving.importing.importer.load", load)
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["import", "net.onnx", "--name", name, "--replace"])
    assert told.exit_code == 1
    assert told.stderr.startswith(f"error: --name {name}: it must match [A-Za-z0-9]")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["net.onnx", "--weights", "w.pt"], "--weights: an ONNX graph has no use for it"),
        (["net.onnx", "--input", "x:float32:3"], "--input: an ONNX graph"),
        (["net.onnx", "--module", "m:Net"], "--module: an ONNX graph"),
        (["net.onnx", "--signature", "s"], "--signature: an ONNX graph"),
        (["net.keras", "--checkpoint", "w.ckpt"], "--checkpoint: a Keras file"),
        (["saved", "--input", "x:float32:3"], "--input: a SavedModel"),
        (["m.joblib", "--weights", "w.pt"], "--weights: a Python object"),
        (["--module", "m:Net", "--signature", "s"], "--signature: a PyTorch network"),
        (["--module", "m:Net", "--weights", "w.pt", "--checkpoint", "w.ckpt"], "say one of them"),
        (["net.onnx", "--mean", "0.5"], "--mean: it is for pictures"),
        (["net.onnx", "--image", "x:CMYK:CHW"], "--image x:CMYK:CHW: it must look like"),
        (
            ["net.onnx", "--image", "x:RGB:CHW:much"],
            "--image x:RGB:CHW:much: the scale is one number",
        ),
    ],
)
def test_options_of_another_kind_of_source_are_refused_by_name(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("net.onnx", "net.keras", "m.joblib"):
        Path(file).touch()
    Path("saved").mkdir()
    Path("saved/saved_model.pb").touch()
    told = CliRunner().invoke(app, ["import", *arguments])
    assert told.exit_code == 1
    (line,) = told.stderr.splitlines()
    assert said in line, line
