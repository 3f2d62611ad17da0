"""``gateway key new``: the key it prints opens the ring it wrote."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from gateway.api.keys import Key, KeyRing
from gateway.errors import ConfigError, Unauthorized
from gateway.key_cli import app


def invoke(*args: str) -> Result:
    """Run ``gateway key …`` as the gateway's command line has it."""
    gateway = typer.Typer()
    gateway.add_typer(app)
    return CliRunner().invoke(gateway, ["key", *args], catch_exceptions=False)


def new(*args: str) -> str:
    """The key that ``gateway key new`` prints."""
    result = invoke("new", *args)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[0]


def found(file: Path, key: str) -> Key:
    return KeyRing.load(file).authenticate({"X-API-Key": key})


def test_it_prints_the_key_once_and_its_entry(tmp_path: Path) -> None:
    result = invoke("new", "team-a", "--rate", "100", "--burst", "200")
    key, _, entry = result.stdout.partition("\n")
    assert len(key) == 43
    assert result.output.count(key) == 1
    (tmp_path / "keys.yaml").write_text(f"keys:\n{entry}")
    made = found(tmp_path / "keys.yaml", key)
    assert (made.name, made.rate, made.burst, made.admin) == ("team-a", 100, 200, False)


def test_it_appends_to_a_file_and_leaves_the_rest_of_it_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    first = new("team-a", "--file", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("# Who may ask.\n" + file.read_text() + "  # the operators:\n\n")
    file.chmod(0o640)
    result = invoke("new", "no", "--admin", "--file", str(file))
    assert len(result.stdout.split()) == 1  # for scripts: the key and nothing else
    assert "sha256:" in result.stderr
    assert found(file, first).name == "team-a"
    # A name that YAML would read as something else stays a name.
    assert (found(file, result.stdout.strip()).name, found(file, result.stdout.strip()).admin) == (
        "no",
        True,
    )
    text = file.read_text()
    assert text.startswith("# Who may ask.\n")
    assert "# the operators:" in text
    assert result.stdout.strip() not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("indent", ["", "      "])
def test_it_follows_the_files_indentation(tmp_path: Path, indent: str) -> None:
    file = tmp_path / "keys.yaml"
    line = new("a", "--file", str(file)) and file.read_text().splitlines()[1].strip()
    file.write_text(f"keys:\n{indent}{line}")
    assert found(file, new("b", "--file", str(file))).name == "b"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["team-a"], "'team-a' already"),
        (["team b"], "name"),
        (["team-b", "--rate", "0"], "rate"),
        (["team-b", "--burst", "5"], "without rate"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    tmp_path: Path, args: list[str], reason: str
) -> None:
    file = tmp_path / "keys.yaml"
    new("team-a", "--file", str(file))
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=reason):
        invoke("new", *args, "--file", str(file))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", ["keys: []\n", "keys: [", "keys:\n  - {name: a}\n", "a: 1\n"])
def test_a_file_it_cannot_append_to_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError):
        invoke("new", "team-a", "--file", str(file))
    assert file.read_text() == content


def test_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "keys.yaml"
    new("a", "--file", str(real))
    link.symlink_to(real)
    key = new("b", "--file", str(link))
    assert link.is_symlink()
    assert found(real, key).name == "b"
    assert len(yaml.safe_load(real.read_text())["keys"]) == 2


def test_every_key_is_another(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    made = {new(f"team-{i}", "--file", str(file)) for i in range(5)}
    assert {found(file, key).name for key in made} == {f"team-{i}" for i in range(5)}
    with pytest.raises(Unauthorized):
        found(file, next(iter(made))[:-1])
