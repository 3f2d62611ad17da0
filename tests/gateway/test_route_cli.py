"""``gateway route``: what it shows, what it writes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from gateway.errors import ConfigError, GatewayError, NotFound
from gateway.route_cli import route
from tests.conftest import MIXED, write_model

Run = Callable[..., str]

BACKENDS = {
    "torchserve": {"lineages": {"pytorch": {}}},
    "onnx": {"lineages": {"pytorch": {"artifact": "mixed.onnx"}}},
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one model with two backends."""
    write_model(tmp_path / "models" / "mixed", {**MIXED, "backends": BACKENDS})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "models"


@pytest.fixture
def run(repository: Path) -> Run:
    """Runs ``gateway route`` on the repository and returns what it prints."""

    def run(command: str, *args: str) -> str:
        line = (command, *args, "--repository", str(repository))
        result = CliRunner().invoke(route, line, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def policy(repository: Path) -> object:
    return yaml.safe_load((repository / "routing.yaml").read_text())["models"].get("mixed")


def test_a_migration_from_nothing_to_all(run: Run, repository: Path) -> None:
    assert run("set", "mixed", "--default", "torchserve") == "mixed: default: – → torchserve\n"
    run("set", "mixed", "--fallback", "onnx, torchserve", "--shadow", "onnx", "--share", "0.1")
    assert run("shift", "mixed", "onnx", "10") == (
        "mixed: canary: – → weights: torchserve: 90, onnx: 10\n"
    )
    run("set", "mixed", "--sticky", "X-User-Id", "--no-shadow")
    assert run("shift", "mixed", "onnx", "20") == (
        "mixed: canary: weights: torchserve: 90, onnx: 10, sticky: X-User-Id → "
        "weights: torchserve: 80, onnx: 20, sticky: X-User-Id\n"
    )
    assert policy(repository) == {
        "default": "torchserve",
        "fallback": ["onnx", "torchserve"],
        "canary": {"weights": {"torchserve": 80, "onnx": 20}, "sticky": "X-User-Id"},
    }
    run("set", "mixed", "--no-canary", "--default", "onnx", "--no-fallback")
    assert policy(repository) == {"default": "onnx"}


def test_what_is_not_named_stays(run: Run, repository: Path) -> None:
    run("set", "mixed", "--canary", "torchserve=90,onnx=10", "--sticky", "X-User-Id")
    run("set", "mixed", "--shadow", "onnx", "--share", "0.5")
    run("set", "mixed", "--canary", "torchserve=50.5,onnx=49.5", "--shadow", "onnx/pytorch")
    assert policy(repository) == {
        "canary": {"weights": {"torchserve": 50.5, "onnx": 49.5}, "sticky": "X-User-Id"},
        "shadow": {"candidate": "onnx/pytorch", "share": 0.5},
    }
    run("set", "mixed", "--sticky", "")
    assert run("set", "mixed", "--share", "0.5") == "mixed: nothing changed\n"
    assert policy(repository) == {
        "canary": {"weights": {"torchserve": 50.5, "onnx": 49.5}},
        "shadow": {"candidate": "onnx/pytorch", "share": 0.5},
    }


def test_show_tells_who_answers(run: Run, repository: Path) -> None:
    before = run("show")
    assert "there is no such file yet" in before
    assert "torchserve (first of the manifest)" in before
    run("set", "mixed", "--canary", "torchserve=90,onnx=10", "--shadow", "onnx")
    after = run("show", "--model", "mixed")
    for words in ("torchserve: 90, onnx: 10", "request id", "candidate: onnx, share: 1"):
        assert words in after
    report = json.loads(run("show", "--json"))
    assert report["file"] == str(repository / "routing.yaml")
    assert report["digest"] in after
    assert report["models"]["mixed"] == {
        "canary": {"weights": {"torchserve": 90, "onnx": 10}},
        "shadow": {"candidate": "onnx", "share": 1},
    }


def test_the_file_may_lie_elsewhere(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("set", "mixed", "--default", "onnx", "--file", str(tmp_path / "a.yaml"))
    monkeypatch.setenv("GATEWAY_ROUTING_POLICY", str(tmp_path / "b.yaml"))
    run("set", "mixed", "--default", "auto")
    assert "auto" in run("show")
    assert (tmp_path / "a.yaml").read_text() == "models:\n  mixed: {default: onnx}\n"
    assert (tmp_path / "b.yaml").read_text() == "models:\n  mixed: {default: auto}\n"


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (["set", "other", "--no-canary"], NotFound, "there is: mixed"),
        (["shift", "other", "onnx", "1"], NotFound, "there is: mixed"),
        (["show", "--model", "other"], NotFound, "there is: mixed"),
        (["set", "mixed"], ConfigError, "nothing to set"),
        (["set", "mixed", "--default", "jax"], ConfigError, "allowed: torchserve, onnx, auto"),
        (["set", "mixed", "--canary", "onnx"], ConfigError, "'onnx' is no route=percent"),
        (["set", "mixed", "--canary", "onnx=1,onnx=99"], ConfigError, "onnx is given twice"),
        (["set", "mixed", "--canary", "onnx=99"], ConfigError, "they sum to 99"),
        (["set", "mixed", "--canary", "onnx=nan"], ConfigError, "onnx has nan"),
        (["set", "mixed", "--sticky", "X-User"], ConfigError, "field `weights`"),
        (["set", "mixed", "--share", "0.5"], ConfigError, "field `candidate`"),
        (["set", "mixed", "--no-shadow", "--share", "0.5"], ConfigError, "--no-shadow"),
        (["shift", "mixed", "onnx", "100.5"], ConfigError, "100.5 is no percentage"),
    ],
)
def test_a_bad_command_changes_nothing(
    run: Run, repository: Path, args: list[str], error: type[GatewayError], words: str
) -> None:
    with pytest.raises(error) as caught:
        run(*args)
    assert words in caught.value.detail
    assert not (repository / "routing.yaml").exists()


def test_a_refused_file_is_shown_as_an_error(run: Run, repository: Path) -> None:
    (repository / "routing.yaml").write_text("models: {mixed: {default: jax}}")
    with pytest.raises(ConfigError, match="no backend 'jax'"):
        run("show")
    run("set", "mixed", "--default", "onnx")
    assert policy(repository) == {"default": "onnx"}
