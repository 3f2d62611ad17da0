"""The command line, in process and against a running gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import __version__
from gateway.cli import app
from gateway.errors import GatewayError
from tests.conftest import ROOT
from tests.processes import Gateway

PAYLOAD = '{"count": 2, "size": 0.5, "big": true, "name": "b"}'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def running(mixed_repository: Path) -> Iterator[Gateway]:
    with Gateway(mixed_repository) as gateway:
        yield gateway


def run(*args: str) -> str:
    result = CliRunner().invoke(app, args, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_predict_in_process_and_over_http_agree(mixed_repository: Path, running: Gateway) -> None:
    here = json.loads(run("predict", "-d", PAYLOAD, "--repository", str(mixed_repository)))
    there = json.loads(run("predict", "-d", PAYLOAD, "--url", running.url, "--backend", "onnx"))
    assert here.pop("request_id") != there.pop("request_id")
    assert here == there
    assert here["predictions"] == [{"total": 102.5, "named": "b"}]


def test_predict_reads_a_file(mixed_repository: Path, tmp_path: Path) -> None:
    (tmp_path / "payload.json").write_text(PAYLOAD)
    answer = run("predict", "-d", "@payload.json", "--repository", str(mixed_repository))
    assert json.loads(answer)["backend"] == "onnx"


def test_predict_takes_pictures_as_files() -> None:
    examples = ROOT / "serving" / "examples"
    picture = f"image={examples / 'three.png'}"
    (told,) = json.loads(run("predict", "-F", picture, "--repository", str(examples)))[
        "predictions"
    ]
    assert told["label"] == "3"
    with Gateway(examples) as gateway:
        there = json.loads(run("predict", "--file", picture, "-d", "{}", "--url", gateway.url))
    assert there["predictions"] == [told]


def test_a_file_is_one_more_feature(mixed_repository: Path, tmp_path: Path) -> None:
    (tmp_path / "three.png").write_bytes(b"3")
    given = ["predict", "-d", PAYLOAD, "-F", "image=three.png"]
    with pytest.raises(GatewayError, match="image: is not known; allowed: count"):
        run(*given, "--repository", str(mixed_repository))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "there is neither --data nor --file"),
        (["-F", "three.png"], "'three.png' is not like image=three.png"),
        (["-F", "image="], "'image=' is not like image=three.png"),
        (["-d", "[]", "-F", "image=three.png"], "which --data is not"),
        (["-d", "{", "-F", "image=three.png"], "which --data is not"),
    ],
)
def test_predict_says_what_it_needs(
    given: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    result = CliRunner().invoke(app, ["predict", *given])
    assert result.exit_code == 2
    assert message in result.stderr


def test_models_and_backends(mixed_repository: Path, running: Gateway) -> None:
    for where in (["--repository", str(mixed_repository)], ["--url", running.url]):
        assert "mixed" in run("models", *where)
        assert json.loads(run("models", "--json", *where))["models"][0]["name"] == "mixed"
        assert "ready" in run("backends", *where)
        (entry,) = json.loads(run("backends", "--json", *where))["backends"]
        assert entry["state"] == "ready"


def test_settings_show_the_value_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_MAX_INSTANCES", "777")
    monkeypatch.setenv("COLUMNS", "300")
    assert "777" in run("settings")


def test_version() -> None:
    assert run("--version").strip() == __version__


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["predict", "-d", "{}", "--repository", "nowhere"], "nowhere"),
        (["predict", "-d", "{}", "--url", "http://127.0.0.1:9"], "127.0.0.1:9"),
        (["predict", "-d", "@nowhere.json"], "nowhere.json"),
        (["predict", "-F", "image=nowhere.png"], "nowhere.png"),
        (["serve", "nowhere"], "nowhere"),
        (["models", "--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_errors_are_one_line_and_a_status(args: list[str], message: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gateway", *args],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_an_error_over_http_carries_the_gateways_words(running: Gateway) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gateway", "predict", "-d", "{}", "--url", running.url],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert result.returncode == 1
    assert "422" in result.stderr
    assert "count: is missing" in result.stderr
