"""The whole stack as `gateway up` starts it: a real TorchServe, TensorFlow Serving, the gateway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from serving.launch.ports import free_ports
from tests.conftest import ROOT

#: Seconds for everything to start: Java, PyTorch, TensorFlow and their first predictions.
START_S = 360


@dataclass(frozen=True)
class Stack:
    """A running stack; ``url`` is the gateway's, the others are its backends'."""

    process: subprocess.Popen[bytes]
    url: str
    torchserve_url: str
    tfserving_url: str

    def predict(self, body: Any, **query: str) -> requests.Response:
        """``POST /v1/predict`` with a JSON body."""
        return requests.post(f"{self.url}/v1/predict", json=body, params=query, timeout=60)

    def listener(self, url: str) -> psutil.Process:
        """The process of this stack that listens on an address."""
        port = int(url.rpartition(":")[2])
        for process in psutil.Process(self.process.pid).children(recursive=True):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return process
        raise AssertionError(f"nobody listens on {url}")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of the session; it must stop without leaving a process behind."""
    names = (
        "port",
        "torchserve-port",
        "management-port",
        "metrics-port",
        "grpc-inference-port",
        "grpc-management-port",
        "tfserving-port",
        "tfserving-grpc-port",
    )
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    options = [part for name, port in ports.items() for part in (f"--{name}", str(port))]
    log = tmp_path_factory.mktemp("stack") / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "up", *options],
            cwd=ROOT,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=os.environ | {"GATEWAY_REQUEST_TIMEOUT_S": "5"},
        )
        running = Stack(
            process,
            *(
                f"http://127.0.0.1:{ports[n]}"
                for n in ("port", "torchserve-port", "tfserving-port")
            ),
        )
        try:
            _wait_ready(running, log)
            yield running
        finally:
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            status = process.wait(60)
    left = [child for child in family if child.is_running()]
    assert not left, f"left behind: {left}"
    assert status == 0, log.read_text()


def _wait_ready(stack: Stack, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert stack.process.poll() is None, log.read_text()
        try:
            if requests.get(stack.url + "/readyz", timeout=5).status_code == 200:
                return
        except requests.RequestException:  # or nothing in time
            pass
        time.sleep(0.2)
    raise AssertionError(f"not ready after {START_S} s:\n{log.read_text()}")
