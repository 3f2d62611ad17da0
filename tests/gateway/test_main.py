"""The entry points: what is there before anything is imported."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT

#: SIGTERM comes as soon as the command line is about to be imported.
INTERRUPTED = """
import importlib, os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "gateway.cli":
            print("about to import", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Interrupting())
entry, *sys.argv[1:] = sys.argv[1:]
if entry == "-m":
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)
else:
    module, _, function = entry.partition(":")
    getattr(importlib.import_module(module), function)()
"""


@pytest.mark.parametrize(
    ("command", "status"), [("serve", 0), ("settings", -signal.SIGTERM)], ids=["serve", "another"]
)
@pytest.mark.parametrize("console_script", [False, True])
def test_sigterm_is_heeded_from_the_first_moment(
    command: str, status: int, console_script: bool
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entry = project["scripts"]["gateway"] if console_script else "-m"
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, entry, command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "about to import\n", "")
