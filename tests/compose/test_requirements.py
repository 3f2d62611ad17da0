"""What an image installs before the sources."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def ask(*args: str) -> list[str]:
    command = [sys.executable, str(ROOT / "compose" / "requirements.py"), *args]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def test_another_build_of_onnx_runtime_takes_its_place() -> None:
    plain, extended = ask(""), ask("otel")
    assert [one for one in plain if one.startswith("onnxruntime")] == ["onnxruntime>=1.31"]
    assert set(plain) < set(extended)
    wanted = "onnxruntime-gpu[cuda,cudnn]"
    assert ask("", wanted) == [wanted if one.startswith("onnxruntime") else one for one in plain]
    assert ask("", "") == plain
