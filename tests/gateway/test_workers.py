"""Several workers on one port: they share the load, their metrics add up, the dead are replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from gateway.config import Settings, load, to_environment
from gateway.models.cpus import available_cpus
from gateway.workers import worker_environment
from tests.processes import Gateway

PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}


def test_settings_survive_the_way_through_the_environment(tmp_path: Path) -> None:
    settings = Settings(port=7, access_log=True, request_timeout_s=0.5, repository=str(tmp_path))
    assert load(environ=to_environment(settings)) == settings


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def answered(url: str) -> float:
    """How many predictions all workers have answered, by their metrics."""
    text = requests.get(url + "/metrics", timeout=5).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "gateway_requests_total" and sample.labels["door"] == "/v1/predict"
    )


def predict(url: str) -> int:
    """One prediction on a connection of its own, so that any worker may get it."""
    return requests.post(url + "/v1/predict", json=PAYLOAD, timeout=5).status_code


def test_workers_share_the_port_and_add_up(mixed_repository: Path) -> None:
    with Gateway(mixed_repository, "--workers", "2") as gateway:
        parent = psutil.Process(gateway.process.pid)
        eventually(lambda: len(serving(parent)) == 2)
        assert all(predict(gateway.url) == 200 for _ in range(60))
        eventually(lambda: answered(gateway.url) == 60)

        first, second = serving(parent)
        first.kill()
        eventually(lambda: len({*serving(parent)} - {first, second}) == 1)
        assert all(predict(gateway.url) == 200 for _ in range(60))
        eventually(lambda: answered(gateway.url) == 120)

        family = parent.children(recursive=True)
        assert gateway.stop(signal.SIGTERM) == 0
        assert not [child for child in family if child.is_running()]


def test_workers_share_the_cores_and_go_with_their_parent(mixed_repository: Path) -> None:
    with Gateway(mixed_repository, "--workers", "2", GATEWAY_DRAIN_GRACE_S="30") as gateway:
        parent = psutil.Process(gateway.process.pid)
        eventually(lambda: len(serving(parent)) == 2)
        workers = serving(parent)
        threads = {worker.environ()["GATEWAY_ONNX_THREADS"] for worker in workers}
        assert threads == {str(max(1, available_cpus() // 2))}

        gateway.process.kill()
        _, alive = psutil.wait_procs(workers, timeout=15)
        assert not alive


def test_threads_that_are_set_are_each_workers() -> None:
    settings = Settings(workers=2, onnx_threads=5)
    assert worker_environment(settings, 80)["GATEWAY_ONNX_THREADS"] == "5"


def test_a_start_that_cannot_succeed_is_tried_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway", "serve", str(tmp_path), "--port", "0"]
    told = subprocess.run(
        [*command, "--workers", "2"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
        timeout=60,
    )
    assert told.returncode == 1
    assert told.stderr.count("error: ") == 1
    assert f"{tmp_path}: there is no model" in told.stderr


def serving(parent: psutil.Process) -> list[psutil.Process]:
    """The workers that listen."""
    return [child for child in parent.children() if listens(child)]


def listens(process: psutil.Process) -> bool:
    """Whether it listens on a TCP port; one that dies while it is asked does not."""
    try:
        sockets = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(socket.status == psutil.CONN_LISTEN for socket in sockets)


def test_a_taken_port_is_said(mixed_repository: Path) -> None:
    with Gateway(mixed_repository) as gateway:
        port = gateway.url.rpartition(":")[2]
        command = [sys.executable, "-m", "gateway", "serve", str(mixed_repository)]
        told = subprocess.run(
            [*command, "--port", port, "--workers", "2"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ,
        )
        assert told.returncode == 1
        assert "in use" in told.stderr


def test_workers_share_the_management_port(mixed_repository: Path, free_port: int) -> None:
    with Gateway(
        mixed_repository, "--workers", "2", GATEWAY_MANAGEMENT_PORT=str(free_port)
    ) as gateway:
        parent = psutil.Process(gateway.process.pid)
        eventually(lambda: len(serving(parent)) == 2)
        assert all(predict(gateway.url) == 200 for _ in range(20))
        eventually(lambda: answered(f"http://127.0.0.1:{free_port}") == 20)
        assert requests.get(gateway.url + "/metrics", timeout=5).status_code == 404


@pytest.mark.parametrize("setting", ["TLS_CERTIFICATE", "API_KEYS_FILE"])
def test_what_no_worker_could_use_is_said_at_once(mixed_repository: Path, setting: str) -> None:
    command = [sys.executable, "-m", "gateway", "serve", str(mixed_repository), "--workers", "2"]
    told = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {f"GATEWAY_{setting}": "nowhere", "GATEWAY_TLS_KEY": ""},
    )
    assert told.returncode == 1
    assert "error: " in told.stderr


@pytest.mark.parametrize("workers", ["0", "-1", "x"])
def test_a_senseless_number_is_refused(workers: str, mixed_repository: Path) -> None:
    command = [sys.executable, "-m", "gateway", "serve", str(mixed_repository)]
    told = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"GATEWAY_WORKERS": workers},
    )
    assert told.returncode == 1
    assert "GATEWAY_WORKERS" in told.stderr
