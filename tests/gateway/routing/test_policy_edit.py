"""The routing policy's file as it is edited: validated, whole, and by several at once."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.routing import policy_file
from gateway.routing.policy import Route, parse
from gateway.routing.policy_document import set_value
from gateway.routing.policy_file import PolicyFile

OFFERS = {"m": {"onnx": ["pytorch"], "torchserve": ["pytorch"]}}
ONNX = "models:\n  m: {default: onnx}\n"
TORCHSERVE = "models:\n  m: {default: torchserve}\n"


def open_file(path: Path) -> PolicyFile:
    return PolicyFile(path, lambda: OFFERS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "routing.yaml"


def test_an_edit_keeps_the_head_comment_and_the_mode(path: Path) -> None:
    head = "# Who answers what.\n#\n# Ask the team first.\n\n"
    path.write_text(head + ONNX + "# lost\n")
    path.chmod(0o640)
    policy = open_file(path).edit(lambda document: set_value(document, "m", "fallback", ["onnx"]))
    assert policy.of("m").fallback == (Route("onnx"),)
    text = path.read_text()
    assert text == head + "models:\n  m:\n    default: onnx\n    fallback: [onnx]\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert parse(text, OFFERS) == policy


def test_an_edit_that_changes_nothing_leaves_the_file_alone(path: Path) -> None:
    path.write_text(ONNX + "# kept\n")
    open_file(path).edit(lambda document: set_value(document, "m", "default", "onnx"))
    assert path.read_text() == ONNX + "# kept\n"


def test_an_edit_makes_the_file(path: Path) -> None:
    open_file(path).edit(lambda document: set_value(document, "m", "default", "onnx"))
    assert path.read_text() == "models:\n  m: {default: onnx}\n"
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_edit_goes_to_what_a_link_points_to(tmp_path: Path, path: Path) -> None:
    real = tmp_path / "elsewhere" / "policy.yaml"
    real.parent.mkdir()
    path.symlink_to(real)
    open_file(path).write(ONNX)
    assert path.is_symlink()
    assert real.read_text() == ONNX


def test_a_bad_edit_leaves_the_file_as_it_was(path: Path) -> None:
    path.write_text(ONNX)
    file = open_file(path)
    with pytest.raises(ConfigError, match="no backend 'jax'"):
        file.edit(lambda document: set_value(document, "m", "default", "jax"))
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        file.write("models: [")
    path.write_text("models: [")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        file.edit(lambda document: set_value(document, "m", "default", "onnx"))
    assert path.read_text() == "models: ["
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_edit_that_cannot_be_written_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path.write_text(ONNX)
    with pytest.raises(ConfigError, match="No such file"):
        open_file(path.parent / "nowhere" / "routing.yaml").write(ONNX)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        open_file(path).write(TORCHSERVE)
    assert path.read_text() == ONNX
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_edit_does_not_wait_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_file, "LOCK_TIMEOUT_S", 0.05)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another edit"):
            open_file(path).write(ONNX)
    finally:
        os.close(folder)
    open_file(path).write(ONNX)


_EDITOR = """
import sys
from pathlib import Path
from gateway.routing.policy_document import set_value
from gateway.routing.policy_file import PolicyFile
path, first = Path(sys.argv[1]), int(sys.argv[2])
offers = {f"m{number}": {"onnx": []} for number in range(40)}
file = PolicyFile(path, lambda: offers)
sys.stdin.read()
for number in range(first, 40, 2):
    file.edit(lambda document: set_value(document, f"m{number}", "default", "onnx"))
"""


def test_edits_at_once_lose_nothing_and_show_nothing_half_done(path: Path) -> None:
    path.write_text("models: {}\n")
    offers = {f"m{number}": {"onnx": ["pytorch"]} for number in range(40)}
    editors = [
        subprocess.Popen([sys.executable, "-c", _EDITOR, path, first], stdin=subprocess.PIPE)
        for first in ("0", "1")
    ]
    for editor in editors:
        assert editor.stdin is not None
        editor.stdin.close()
    most = 0
    while any(editor.poll() is None for editor in editors):
        models = parse(path.read_text(), offers).models
        assert len(models) >= most, "an edit was lost"
        most = len(models)
    assert [editor.wait() for editor in editors] == [0, 0]
    assert set(parse(path.read_text(), offers).models) == set(offers)
