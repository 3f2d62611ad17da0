"""Hostile clients against a gateway in a process of its own: the others hardly notice."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.chaos import hostile_clients
from tests.chaos.hostile_clients import HALF_OPEN, PAYLOAD, PIPELINING, SLOW
from tests.conftest import ROOT
from tests.processes import Gateway

pytestmark = pytest.mark.alone

#: Seconds. Alone, a client waits about a millisecond; the machine is shared with the hostile ones.
MOST_P99_S = 0.1


class Normal:
    """A client as they should be; keeps how long each of its requests took, in seconds."""

    def __init__(self, url: str, timeout: float = 5) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.address = parts.hostname, parts.port
        self._connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        self.seconds: list[float] = []

    def predict(self, body: bytes = PAYLOAD, content_type: str = "application/json") -> int:
        started = time.perf_counter()
        headers = {"Content-Type": content_type}
        self._connection.request("POST", "/v1/predict", body, headers)
        answer = self._connection.getresponse()
        answer.read()
        self.seconds.append(time.perf_counter() - started)
        return answer.status

    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


@pytest.fixture
def gateway(mixed_repository: Path) -> Iterator[Gateway]:
    limits = {"GATEWAY_READ_TIMEOUT_S": "2", "GATEWAY_IDLE_TIMEOUT_S": "3"}
    with Gateway(mixed_repository, **limits) as gateway:
        yield gateway


def test_slow_half_open_and_pipelining_clients_do_not_starve_others(gateway: Gateway) -> None:
    normal = Normal(gateway.url)
    host, port = normal.address
    command = [sys.executable, "-m", hostile_clients.__name__, str(host), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as hostile:
        started = time.monotonic()
        while hostile.poll() is None:
            assert normal.predict() == 200
            time.sleep(0.005)
            assert time.monotonic() - started < 60
        assert hostile.stdout is not None
        seen = json.load(hostile.stdout)
    assert hostile.returncode == 0
    assert len(normal.seconds) > 100
    assert normal.p99() < MOST_P99_S
    assert seen.pop("pipelined 200") > PIPELINING * 100
    assert seen.pop("half-open closed") == HALF_OPEN
    told, late = seen.pop("slow 408"), seen.pop("slow reset", 0)
    assert told + late == SLOW
    assert late < SLOW / 2  # a byte that crosses the answer resets the connection
    assert not seen


def test_clients_that_take_up_all_the_room_give_way(mixed_repository: Path) -> None:
    with Gateway(mixed_repository, GATEWAY_MAX_CLIENT_CONNECTIONS="50") as gateway:
        hostile: list[socket.socket] = []
        normal = Normal(gateway.url)
        for sent in (b"", b"POST /v1/predict HTTP/1.1\r\n"):
            for _ in range(100):
                hostile.append(socket.create_connection(normal.address))
                hostile[-1].sendall(sent)
            time.sleep(1.2)  # a head may take a second before it has to give way
            others = [Normal(gateway.url) for _ in range(20)]
            assert [other.predict() for other in others * 2] == [200] * 40
        for one in hostile:
            one.close()


def test_the_limit_of_open_files_is_minded(mixed_repository: Path) -> None:
    command = [sys.executable, "-m", "gateway", "serve", str(mixed_repository), "--port", "0"]
    shell = ["sh", "-c", 'ulimit -n 300 && exec "$@"', "sh"]
    limited = subprocess.Popen([*shell, *command], stderr=subprocess.PIPE, cwd=ROOT)
    try:
        assert limited.stderr is not None
        log = [json.loads(limited.stderr.readline())["message"] for _ in range(2)]
        assert "room for 150 clients" in log[0]
        normal = Normal(log[1].removeprefix("listening on "))
        silent = [socket.create_connection(normal.address) for _ in range(400)]
        time.sleep(0.1)
        assert normal.predict() == 200
        for one in silent:
            one.close()
        limited.send_signal(signal.SIGINT)
        assert limited.wait(10) == 0
    finally:
        limited.kill()
        limited.communicate()


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"instances":[', b'{"count":[', b"[{"])
def test_deep_nesting_is_refused(gateway: Gateway, opening: bytes) -> None:
    normal = Normal(gateway.url)
    assert normal.predict() == 200
    for content_type in ("application/json", "application/json; charset=utf-8"):
        for times in (600, 5_000, 1_000_000 // len(opening)):
            for body in (opening * times, opening * times + b"1" + b"]" * times):
                assert normal.predict(body, content_type) == 400
        assert normal.predict() == 200
