"""`make bench`: what it writes, where, and that both are cleared away."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from loadtests.bench import cli
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")

INHERITED = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}


def commands(*arguments: str) -> list[list[str]]:
    """What `make` would run."""
    # Below another make, as in CI, it would take over that one's options and say where it is.
    alone = {name: value for name, value in os.environ.items() if name not in INHERITED}
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", *arguments],
        env=alone,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return [shlex.split(line) for line in told.stdout.splitlines() if line]


def test_bench_writes_a_table_and_json() -> None:
    (command,) = (line for line in commands("bench") if "loadtests.bench" in line)
    options = command[command.index("loadtests.bench") + 1 :]
    assert options == ["--json", "bench.json", "--markdown", "bench.md"]
    (cleaning,) = commands("clean")
    ignored = subprocess.run(
        ["git", "check-ignore", *options[1::2]],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert ignored.stdout.split() == options[1::2]
    assert set(options[1::2]) < set(cleaning)


def test_what_bench_is_told_goes_before() -> None:
    told = commands("bench", "BENCH=--json other.json --only grpc")
    (command,) = (line for line in told if "loadtests.bench" in line)
    options = command[command.index("loadtests.bench") + 1 :]
    parsed = typer.main.get_command(cli.app).make_context("bench", options).params
    assert (parsed["json_file"], parsed["only"]) == (Path("other.json"), ["grpc"])
    assert parsed["markdown_file"] == Path("bench.md")
