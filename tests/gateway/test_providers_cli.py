"""``gateway providers``: what there is, what is asked for, what computes; here and at a gateway."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime as ort
import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.models.session import CPU
from tests.conftest import MIXED, write_model
from tests.processes import Gateway

LACKING = next(n for n in ort.get_all_providers() if n not in ort.get_available_providers())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


def run(*args: str) -> Result:
    result = CliRunner().invoke(app, ["providers", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_all_is_well(mixed_repository: Path) -> None:
    result = run("--repository", str(mixed_repository))
    assert f"mixed   1         pytorch   {CPU}: all nodes" in result.stdout
    assert result.stderr == ""
    report = json.loads(run("--repository", str(mixed_repository), "--json").stdout)
    assert report["available"] == ort.get_available_providers()
    assert sorted(report["available"] + report["absent"]) == sorted(ort.get_all_providers())
    assert report["asked"] == report["models"][0]["active"] == [CPU]


def test_a_fallback_is_a_warning_here_and_at_a_gateway(
    mixed_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gateway(mixed_repository, GATEWAY_ONNX_PROVIDERS=f"{LACKING},{CPU}") as gateway:
        there = run("--url", gateway.url)
        logged = [entry for entry in gateway.log if entry["level"] == "warning"]
    monkeypatch.setenv("GATEWAY_ONNX_PROVIDERS", f"{LACKING},{CPU}")
    here = run("--repository", str(mixed_repository))
    words = f"{LACKING} is not in this build of ONNX Runtime"
    for result in (here, there):
        assert f"{CPU}: all nodes" in result.stdout
        assert result.stderr.startswith(f"warning: mixed, pytorch: {words}")
        assert len(result.stderr.splitlines()) == 1
    assert [str(entry["message"]).partition(words)[1] for entry in logged] == [words]
    assert "as number 1" in here.stdout


def test_what_cannot_be_loaded_is_said(tmp_path: Path, mixed_repository: Path) -> None:
    (write_model(mixed_repository / "gone", MIXED | {"name": "gone"}) / "mixed.onnx").write_bytes(
        b"no graph"
    )
    (mixed_repository / "broken").mkdir()
    (mixed_repository / "broken" / "model.yaml").write_text("[]")
    result = run("--repository", str(mixed_repository))
    assert "warning: broken: " in result.stderr
    assert "warning: gone, pytorch: mixed.onnx: " in result.stderr
    assert "not loaded" in result.stdout


def test_providers_need_no_model() -> None:
    result = run()
    assert CPU in result.stdout
    assert "warning: repository: " in result.stderr
