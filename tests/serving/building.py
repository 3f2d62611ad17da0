"""The documented command that builds an example, run as a user would, outside of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def build(name: str, out: Path, *options: str) -> Path:
    """``python -m serving build`` into the repository ``out``: the model's folder there."""
    told = subprocess.run(
        [sys.executable, "-m", "serving", "build", name, "--out", str(out), *options],
        cwd=out,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{name} 1, built in" in told.stdout
    return out / name
