"""The server as a process: start, plain graphs, memory, signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.conftest import REPOSITORY, TALK, linear_graph
from tests.processes import Gateway


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_in_order(mixed_repository: Path, how: signal.Signals) -> None:
    with Gateway(mixed_repository) as gateway:
        assert requests.get(gateway.url + "/readyz", timeout=5).status_code == 200
        assert gateway.stop(how) == 0


PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}


@pytest.mark.parametrize("workers", [1, 2])
def test_after_sigterm_it_serves_on_for_the_grace(mixed_repository: Path, workers: int) -> None:
    arguments = ["--workers", str(workers)]
    with Gateway(mixed_repository, *arguments, GATEWAY_DRAIN_GRACE_S="3") as gateway:
        url = gateway.url
        for _ in range(workers - 1):
            gateway.read_to("listening on")
        told = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        for _ in range(workers):
            gateway.read_to("draining for")
        assert all(requests.get(url + "/readyz", timeout=5).status_code == 503 for _ in range(8))
        # A part of the grace: what comes after its end is refused, and this machine may be slow.
        while time.monotonic() - told < 1:
            answer = requests.post(url + "/v1/predict", json=PAYLOAD, timeout=5)
            assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
        assert gateway.process.wait(20) == 0
        assert time.monotonic() - told > 2.9
        with pytest.raises(requests.ConnectionError):
            requests.get(url + "/healthz", timeout=5)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_someone_in_a_hurry_does_not_wait(
    mixed_repository: Path, workers: int, signals: list[signal.Signals]
) -> None:
    arguments = ["--workers", str(workers)]
    with Gateway(mixed_repository, *arguments, GATEWAY_DRAIN_GRACE_S="60") as gateway:
        for _ in range(workers - 1):
            gateway.read_to("listening on")
        for number in signals[:-1]:
            gateway.process.send_signal(number)
            for _ in range(workers):  # two of a kind at once would be one
                gateway.read_to("draining for")
        assert gateway.stop(signals[-1], within=20) == 0


@pytest.mark.parametrize("batch", ["batch", 1])
def test_a_plain_graph_is_served(tmp_path: Path, batch: int | str) -> None:
    with Gateway(linear_graph(tmp_path / "plain.onnx", [1.0, 2.0], batch)) as gateway:
        body = {"instances": [{"x": [1, 1]}, {"x": [1, 2]}, {"x": [0, 0]}]}
        answer = requests.post(gateway.url + "/v1/predict", json=body, timeout=5)
        assert answer.json()["predictions"] == [{"y": 3.0}, {"y": 5.0}, {"y": 0.0}]


def test_the_process_stays_small_and_imports_no_framework() -> None:
    with Gateway(REPOSITORY) as gateway:
        for _ in range(50):
            requests.post(gateway.url + "/v1/predict", json=TALK, timeout=5).raise_for_status()
        assert gateway.rss_mb() < 120
    code = "import sys, gateway.app, gateway.cli; print({'torch','tensorflow'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_a_taken_port_is_said(mixed_repository: Path) -> None:
    with Gateway(mixed_repository) as gateway:
        port = gateway.url.rpartition(":")[2]
        command = [sys.executable, "-m", "gateway", "serve", str(mixed_repository), "--port", port]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "error: " in second.stderr
        assert "address already in use" in second.stderr


def test_the_access_log_is_a_setting(mixed_repository: Path) -> None:
    with Gateway(mixed_repository, GATEWAY_ACCESS_LOG="true") as gateway:
        headers = {"X-Request-Id": "seen-1"}
        requests.get(gateway.url + "/healthz", timeout=5, headers=headers)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.stderr is not None
        log = gateway.process.stderr.read()
    assert '"request_id":"seen-1"' in log
    assert '"path":"/healthz"' in log
