"""The stand-in's command line: what it refuses, and that it ends cleanly."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.standin", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no model: give --model_base_path, or --model NAME=PATH"),
        (["--model=x"], "--model x: expected NAME=PATH"),
        (["--model=x=missing-folder"], "model x: missing-folder is not a folder"),
        (["--model=x=.", "--version_label=x=1"], "expected NAME:LABEL=VERSION"),
        (["--model_config_file=none.config"], "--model_config_file none.config: "),
    ],
)
def test_wrong_options(arguments: list[str], message: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert message in ended.stderr


def test_a_taken_port_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = run(f"--model=x={tmp_path}", f"--rest_api_port={port}")
    assert ended.returncode == 2
    assert "Address already in use" in ended.stderr


def test_help_says_what_it_is() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    assert "stand-in for TensorFlow Serving" in ended.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_cleanly(saved_models: Path, start_standin: Any, number: signal.Signals) -> None:
    server = start_standin(f"--model=m={saved_models / 'constant'}")
    assert requests.get(f"{server.url}/v1/models/m", timeout=30).status_code == 200
    server.process.send_signal(number)
    assert server.process.wait(20) == 0


def test_a_list_of_models(saved_models: Path, tmp_path: Path, start_standin: Any) -> None:
    config = tmp_path / "models.config"
    entry = f'config {{ name: "m" base_path: "{saved_models / "constant"}" }}'
    config.write_text(f"model_config_list {{ {entry} }}")
    server = start_standin(f"--model_config_file={config}")
    assert requests.get(f"{server.url}/v1/models/m", timeout=30).status_code == 200
    config.write_text("model_config_list { name: 1 }")
    ended = run(f"--model_config_file={config}")
    assert (ended.returncode, "ModelConfigList" in ended.stderr) == (2, True), ended.stderr
