"""``gateway up`` as a user runs it: all three servers, and what happens when things go wrong."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from rich.console import Console

from serving.launch import ServerInfo, groups
from serving.launch.board import LineBoard, TableBoard, make_board
from tests.conftest import REPOSITORY, ROOT, TALK

pytestmark = [pytest.mark.java, pytest.mark.timeout(900)]

FREE_PORTS = [
    f"--{name}=0"
    for name in ("port", "torchserve-port", "management-port", "metrics-port",
                 "grpc-inference-port", "grpc-management-port", "tfserving-port",
                 "tfserving-grpc-port")
]  # fmt: skip


class Up:
    """A running ``gateway up``; its output goes to a file."""

    def __init__(self, tmp_path: Path, *arguments: str, **environment: str) -> None:
        self.temp = tmp_path / "tmp"
        self.temp.mkdir()
        self.output = tmp_path / "output"
        command = [sys.executable, "-m", "gateway", "up", f"--repository={REPOSITORY}"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *FREE_PORTS, *arguments],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(self.temp), **environment},
                stdout=output,
                stderr=output,
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, pattern: str, timeout_s: float = 240) -> re.Match[str]:
        """The first match of the pattern in the output."""
        deadline = time.monotonic() + timeout_s
        while True:
            match = re.search(pattern, self.text)
            if match is not None:
                return match
            assert self.process.poll() is None, f"ended without {pattern!r}:\n{self.text}"
            assert time.monotonic() < deadline, f"no {pattern!r}:\n{self.text}"
            time.sleep(0.05)

    def processes(self) -> set[int]:
        """Every process it has started."""
        return {int(number) for number in re.findall(r", process (\d+),", self.text)}

    def end(self, number: signal.Signals = signal.SIGINT, timeout_s: float = 60) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def assert_nothing_left(self) -> None:
        assert [pid for group in self.processes() for pid in groups.members(group)] == []
        assert list(self.temp.iterdir()) == []


StartUp = Callable[..., Up]


@contextmanager
def handled(number: signal.Signals, handler: signal.Handlers) -> Iterator[None]:
    """The signal handled so within; a process started meanwhile inherits it."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[StartUp]:
    started: list[Up] = []

    def start(*arguments: str, **environment: str) -> Up:
        started.append(Up(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait(10)
        for group in one.processes():
            groups.kill(group)


def predict(url: str, backend: str) -> float:
    reply = requests.post(f"{url}/v1/predict?backend={backend}", json=TALK, timeout=30)
    assert reply.status_code == 200, reply.text
    value: float = reply.json()["predictions"][0]["weight_change"]
    return value


def test_the_whole_house(start_up: StartUp) -> None:
    up = start_up()
    url = up.wait_for(r"ready after [\d.]+ s: (http://\S+)")[1]
    up.wait_for("Ctrl-C stops everything")
    assert "tfserving is a stand-in" in up.text
    assert "curl -s" in up.text
    values = {backend: predict(url, backend) for backend in ("onnx", "torchserve", "tfserving")}
    assert values["onnx"] == pytest.approx(values["torchserve"], abs=1e-4)
    report = requests.get(f"{url}/v1/backends", timeout=30).json()["backends"]
    assert {one["name"]: (one["state"], one["stand_in"]) for one in report} == {
        "onnx": ("ready", None),
        "torchserve": ("ready", None),
        "tfserving": ("ready", "tensorflow-serving"),
    }

    # A server that is killed comes back, and the others go on answering.
    stand_in = int(up.wait_for(r"tfserving: ready, \S+ process (\d+)")[1])
    os.kill(stand_in, signal.SIGKILL)
    up.wait_for(r"tfserving: died, \S+ .*was killed by signal 9")
    assert predict(url, "torchserve") == pytest.approx(values["torchserve"])
    up.wait_for(r"tfserving: ready, .*restarted 1×")
    assert predict(url, "tfserving") == pytest.approx(values["tfserving"])

    assert len(up.processes()) == 4
    assert up.end() == 0
    order = re.findall(r"(\w+): stopping", up.text)
    assert order[0] == "gateway"
    assert up.text.endswith("stopped\n")
    up.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_stop_it_too(start_up: StartUp, number: signal.Signals) -> None:
    with handled(number, signal.SIG_DFL):  # whatever started the tests: under nohup it is ignored
        up = start_up("--no-torchserve", "--no-tfserving")
    url = up.wait_for(r"ready after [\d.]+ s: (http://\S+)")[1]
    assert isinstance(predict(url, "onnx"), float)
    assert up.end(number) == 0
    up.assert_nothing_left()


def test_nohup_keeps_it_running(start_up: StartUp) -> None:
    with handled(signal.SIGHUP, signal.SIG_IGN):  # what nohup does
        up = start_up("--no-torchserve", "--no-tfserving")
    url = up.wait_for(r"ready after [\d.]+ s: (http://\S+)")[1]
    up.process.send_signal(signal.SIGHUP)
    assert isinstance(predict(url, "onnx"), float)
    assert "stopping" not in up.text
    assert up.end() == 0


def test_stopped_while_starting(start_up: StartUp) -> None:
    up = start_up()
    up.wait_for(r"torchserve: starting, \S+ process \d+")
    assert up.end() == 0
    assert "ready after" not in up.text
    up.assert_nothing_left()


def test_a_second_signal_kills(start_up: StartUp) -> None:
    up = start_up("--no-torchserve")
    up.wait_for("ready after")
    # A stopped process cannot end at SIGTERM; only SIGKILL ends it.
    os.kill(int(up.wait_for(r"gateway: ready, \S+ process (\d+)")[1]), signal.SIGSTOP)
    up.process.send_signal(signal.SIGINT)
    up.wait_for("gateway: stopping")
    assert up.end(timeout_s=10) == 130
    assert up.text.endswith("killed\n")
    up.assert_nothing_left()


def test_without_java(start_up: StartUp, tmp_path: Path) -> None:
    up = start_up(PATH=str(tmp_path), JAVA_HOME="")
    assert up.process.wait(60) == 1
    assert "TorchServe needs Java, and there is none on PATH" in up.text
    assert "--no-torchserve" in up.text
    assert "Traceback" not in up.text
    # The logs of a failed start stay, and the message says where.
    logs = Path(re.search(r"The logs are in (\S+)", up.text)[1])  # type: ignore[index]
    assert logs.is_dir()
    for group in up.processes():
        assert groups.members(group) == []


def test_a_taken_port(start_up: StartUp) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        up = start_up("--no-torchserve", f"--tfserving-port={port}")
        assert up.process.wait(60) == 1
    assert f"error: port {port} (TensorFlow Serving REST) cannot be used" in up.text
    for group in up.processes():
        assert groups.members(group) == []


def test_logs_are_kept_on_demand(start_up: StartUp, tmp_path: Path) -> None:
    run = tmp_path / "run"
    up = start_up("--no-torchserve", "--no-tfserving", f"--run-dir={run}")
    up.wait_for("ready after")
    assert up.end() == 0
    assert (run / "gateway.log").read_text()
    assert f"logs: {run}" in up.text


INFO = ServerInfo("tfserving", "ready", "http://127.0.0.1:1", 42, True, "stand-in", "", 0)


def test_lines_show_changes_only() -> None:
    output = io.StringIO()
    console = Console(file=output, width=40)
    assert isinstance(make_board(console), LineBoard)
    with make_board(console) as board:
        board.update([INFO])
        board.update([INFO])
        board.say("x" * 60)
    lines = output.getvalue().splitlines()
    assert lines == ["tfserving: ready, http://127.0.0.1:1, process 42, stand-in", "x" * 60]


def test_a_terminal_gets_a_table() -> None:
    output = io.StringIO()
    console = Console(file=output, width=120, force_terminal=True)
    board = make_board(console)
    assert isinstance(board, TableBoard)
    with board:
        board.update([INFO])
        board.say("hello")
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", output.getvalue())
    assert "hello" in text
    assert re.search(r"tfserving │ ready │ http://127\.0\.0\.1:1 │ 42 +│ stand-in", text)
