"""The README as a newcomer runs it: its own commands, on a fresh copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from serving.launch.ports import free_port
from tests.conftest import ROOT

BLOCKS: list[str] = re.findall(
    r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
)
#: Seconds from the command to the first answer, the installation included.
SERVE_S, DEMO_S = 360, 600


def block(*words: str) -> str:
    """The README's only command that holds all of these words."""
    (found,) = [text for text in BLOCKS if all(word in text for word in words)]
    return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git would give a newcomer, as the working tree has it now."""
    folder = tmp_path_factory.mktemp("clone")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in (os.fsdecode(name) for name in names if name):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@contextmanager
def running(command: str, clone: Path, port: int, within: float) -> Iterator[psutil.Process]:
    """Run a README command in a terminal of its own until the gateway is ready; then Ctrl-C."""
    ours = ("GATEWAY_", "MAKE", "PYTHON")  # MAKE: this may run below `make test`
    environ = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    with (clone / "terminal.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=clone,
            env=environ | {"PORT": str(port)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + within
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            shown = (clone / "terminal.log").read_text()
            assert process.poll() is None, shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.5)
        yield psutil.Process(process.pid)
    finally:
        family = [
            other
            for other in psutil.process_iter()
            if process.poll() is None and in_group(other.pid, process.pid)
        ]
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(40)
    _, left = psutil.wait_procs(family, timeout=5)
    assert not left, f"left behind: {left}"


def in_group(pid: int, group: int) -> bool:
    """Whether a process belongs to a group; one that has ended meanwhile does not."""
    try:
        return os.getpgid(pid) == group
    except ProcessLookupError:
        return False


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def shell(command: str, clone: Path, port: int) -> Any:
    return json.loads(terminal(command, clone, port))


def terminal(command: str, clone: Path, port: int) -> str:
    environ = os.environ | {"PORT": str(port)}
    told = subprocess.run(
        ["bash", "-c", command], cwd=clone, env=environ, capture_output=True, text=True, check=True
    )
    return told.stdout


def check_talk(content: Any, backend: str, lineage: str) -> float:
    assert (content["backend"], content["lineage"]) == (backend, lineage)
    assert "duration: 75 is outside the training range 1–12" in content["warnings"]
    assert "stress_level: 90 is outside the training range 1–9" in content["warnings"]
    (prediction,) = content["predictions"]
    value: float = prediction["weight_change"]
    return value


@pytest.mark.timeout(900)
def test_one_command_serves(clone: Path) -> None:
    port = free_port()
    started = time.monotonic()
    with running(block("make serve"), clone, port, SERVE_S) as process:
        print(f"make serve answered after {time.monotonic() - started:.0f} s")
        by_http = {
            lineage: check_talk(
                shell(block("curl", f"backend=onnx&lineage={lineage}"), clone, port),
                "onnx",
                lineage,
            )
            for lineage in ("pytorch", "tensorflow")
        }
        shown = terminal(block("gateway route set"), clone, port)
        assert "candidate: onnx/tensorflow, share: 0.1" in " ".join(shown.split())
        (server,) = [p for p in [process, *process.children(recursive=True)] if listens(p, port)]
        rss_mb = server.memory_info().rss / 1e6
        print(f"{rss_mb:.0f} MB resident")
        assert rss_mb < 120
    by_shell = shell(block("gateway predict"), clone, port)
    assert check_talk(by_shell, "onnx", "pytorch") == by_http["pytorch"]
    installed = {path.name for path in (clone / ".venv").glob("lib/*/site-packages/*")}
    assert "onnxruntime" in installed
    assert not {"torch", "tensorflow", "keras"} & installed


def listens(process: psutil.Process, port: int) -> bool:
    return any(c.laddr.port == port for c in process.net_connections("tcp") if c.status == "LISTEN")


@pytest.mark.java
@pytest.mark.timeout(900)
def test_another_command_adds_the_other_backends(clone: Path) -> None:
    port = free_port()
    with running(block("make demo"), clone, port, DEMO_S):
        for backend, lineage in (("torchserve", "pytorch"), ("tfserving", "tensorflow")):
            content = shell(block("curl", f"backend={backend}"), clone, port)
            onnx = shell(block("curl", f"backend=onnx&lineage={lineage}"), clone, port)
            value = check_talk(content, backend, lineage)
            assert value == pytest.approx(check_talk(onnx, "onnx", lineage), abs=1e-4)
        assert answers("http://127.0.0.1:8080/ping")
        assert answers("http://127.0.0.1:8501/v1/models/weight-change")
