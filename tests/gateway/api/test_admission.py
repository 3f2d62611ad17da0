"""Clients that only take up room: each is answered or closed in its time, and no other is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, web

from gateway.app import create_app, start
from gateway.config import Settings
from gateway.models.rows import Outputs, Rows
from tests.conftest import MIXED, write_model
from tests.held import HeldBackend
from tests.waiting import until
from tests.wire import Wire

PAYLOAD = json.dumps({"count": 2, "size": 0.5, "big": True, "name": "b"}).encode()
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Started:
    """A gateway with a backend that can be held."""

    def __init__(self, runner: web.AppRunner, backend: HeldBackend) -> None:
        self.backend = backend
        self.address: tuple[str, int] = runner.addresses[0][:2]

    async def connect(self, **options: Any) -> Wire:
        return Wire(*await asyncio.open_connection(*self.address, **options))

    async def client(self) -> Wire:
        """A connection that has had an answer."""
        wire = await self.connect()
        wire.send(PAYLOAD)
        assert (await wire.receive())[0] == "HTTP/1.1 200 OK"
        return wire

    async def ended(self) -> dict[str, float]:
        """How many connections were ended or refused, by reason."""
        host, port = self.address
        async with ClientSession() as session:
            answer = await session.get(f"http://{host}:{port}/metrics")
            lines = (await answer.text()).splitlines()
        found = [line for line in lines if line.startswith("gateway_connections_ended_total{")]
        return {line.split('"')[1]: float(line.split()[-1]) for line in found}


Start = Callable[..., Awaitable[Started]]


def add_up(rows: Rows) -> Outputs:
    total = np.add(rows.columns["count"], rows.columns["size"], dtype=np.float64)
    return {"total": total, "named": rows.columns["name"]}


@pytest.fixture
async def start_gateway(tmp_path: Path) -> AsyncIterator[Start]:
    runners: list[web.AppRunner] = []

    async def begin(**settings: Any) -> Started:
        backends: dict[str, Any] = {"memory": {"lineages": {"only": {}}}}
        write_model(tmp_path / "mixed", MIXED | {"backends": backends})
        backend = HeldBackend(add_up)
        settings |= {"repository": str(tmp_path), "required_backends": "memory"}
        app = create_app(Settings(**settings), {"memory": backend})
        runners.append(await start(app, "127.0.0.1", 0))
        return Started(runners[0], backend)

    yield begin
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize(
    "sent",
    [
        HEAD,
        HEAD + b"Content-Length: 100\r\n\r\n" + PAYLOAD[:20],
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n",
    ],
)
async def test_a_slow_sender_is_told_and_closed(start_gateway: Start, sent: bytes) -> None:
    gateway = await start_gateway(read_timeout_s=0.6)
    for wire in (await gateway.connect(), await gateway.client()):
        for first in range(0, len(sent), 32):  # every piece comes in good time, all of them do not
            wire.writer.write(sent[first : first + 32])
            await asyncio.sleep(0.02)
        status, headers, content = await wire.receive()  # which waits for some seconds at most
        assert status == "HTTP/1.1 408 Request Timeout"
        assert headers["Connection"] == "close"
        assert content["type"] == "urn:problem-type:gateway:request-timeout"
        assert await wire.closed()
    assert await gateway.ended() == {"slow": 2}


async def test_a_large_body_in_many_pieces_is_no_slow_sender(start_gateway: Start) -> None:
    gateway = await start_gateway(read_timeout_s=1.5)
    wire = await gateway.connect()
    for _ in range(9):  # longer than the timeout altogether, shorter each
        wire.writer.write(HEAD + b"Content-Length: %d\r\n" % len(PAYLOAD))
        await asyncio.sleep(0.1)
        wire.writer.write(b"\r\n" + PAYLOAD[:20])
        await asyncio.sleep(0.1)
        wire.writer.write(PAYLOAD[20:])
        assert (await wire.receive())[0] == "HTTP/1.1 200 OK"
    assert await gateway.ended() == {}


async def test_what_waits_behind_a_slow_answer_does_not_come_too_slowly(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(read_timeout_s=1.0, idle_timeout_s=1.0)
    wire = await gateway.client()
    gateway.backend.let_go.clear()
    gateway.backend.calls.clear()
    wire.send(PAYLOAD)
    await until(lambda: gateway.backend.calls)
    wire.writer.write(HEAD)
    await asyncio.sleep(1.6)
    wire.writer.write(b"Content-Length: %d\r\n\r\n" % len(PAYLOAD))
    await asyncio.sleep(0.05)
    gateway.backend.let_go.set()
    for _ in range(2):
        if _:
            wire.writer.write(PAYLOAD)
        status, headers, _content = await wire.receive()
        assert status == "HTTP/1.1 200 OK"
        assert "Connection" not in headers


async def test_an_idle_connection_is_closed_in_silence(start_gateway: Start) -> None:
    gateway = await start_gateway(idle_timeout_s=1.2)
    silent, used = await gateway.connect(), await gateway.client()
    for _ in range(5):  # longer than the timeout altogether, shorter each
        await asyncio.sleep(0.3)
        used.send(PAYLOAD)
        assert (await used.receive())[0] == "HTTP/1.1 200 OK"
    assert await silent.closed()
    assert await used.closed()
    assert await gateway.ended() == {"idle": 2}


async def test_an_answer_left_unread_is_given_up(start_gateway: Start) -> None:
    gateway = await start_gateway(read_timeout_s=0.2)
    deaf, slow = await gateway.connect(limit=1_000), await gateway.connect(limit=2**20)
    deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
    body = ('{"instances": [' + ",".join([PAYLOAD.decode()] * 6_000) + "]}").encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    sending = 0
    while not await gateway.ended():  # the kernel, too, keeps some MB of answers
        deaf.writer.write(request)
        slow.writer.write(request)
        sending += 1
        assert sending < 200
        await asyncio.sleep(0.05)
    assert await gateway.ended() == {"unread": 1}
    deaf.writer.transport.resume_reading()  # type: ignore[attr-defined]
    with suppress(ConnectionError):
        read = await asyncio.wait_for(deaf.reader.read(), 5)  # it ends, and before the last answer
        assert read.count(b"HTTP/1.1 200 OK") < sending
    for _ in range(sending):
        assert (await slow.receive())[0] == "HTTP/1.1 200 OK"


async def test_there_is_room_for_so_many_and_idle_ones_make_some(start_gateway: Start) -> None:
    gateway = await start_gateway(max_client_connections=4)
    used = await gateway.client()
    silent = await gateway.connect()
    gateway.backend.let_go.clear()
    occupied = [await gateway.connect() for _ in range(2)]
    for wire in occupied:
        wire.send(PAYLOAD)
    await asyncio.sleep(0.1)
    more = await gateway.connect()
    more.send(PAYLOAD)
    assert await silent.closed()  # it never sent anything
    await asyncio.sleep(0.15)
    further = await gateway.connect()
    further.send(PAYLOAD)
    assert await used.closed()
    await asyncio.sleep(0.15)
    refused = await gateway.connect()
    refused.send(PAYLOAD)
    status, headers, content = await refused.receive()
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert (headers["Retry-After"], headers["Connection"]) == ("1", "close")
    assert content["type"] == "urn:problem-type:gateway:too-many-connections"
    assert await refused.closed()
    gateway.backend.let_go.set()
    for wire in (*occupied, more, further):
        assert (await wire.receive())[0] == "HTTP/1.1 200 OK"
    assert await gateway.ended() == {"made room": 3, "refused": 1}


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nAuthorization: Bearer s3cret\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: s3cret" + b"x" * 9_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-Many: s3cret\r\n" * 129 + b"\r\n",
        b"GET /" + b"s3cret" * 2_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01s3cret\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_and_not_repeated(
    start_gateway: Start, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    wire = await (await start_gateway()).connect()
    with caplog.at_level(logging.DEBUG):
        wire.writer.write(sent)
        status, _, content = await wire.receive()
        assert status.endswith("400 Bad Request")
        assert content["type"] == "urn:problem-type:gateway:invalid-request"
        assert await wire.closed()
    assert "s3cret" not in json.dumps(content) + caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz s3cret\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcs3cret\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\ns3cret1234",
    ],
)
@pytest.mark.parametrize("pause_s", [0, 0.05])
async def test_a_broken_body_is_refused_at_once(
    start_gateway: Start, body: bytes, pause_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    wire = await (await start_gateway()).connect()
    head, _, rest = (HEAD + body).partition(b"\r\n\r\n")
    wire.writer.write(head + b"\r\n\r\n")
    await asyncio.sleep(pause_s)
    wire.writer.write(rest)
    status, _, content = await wire.receive()
    assert status.endswith("400 Bad Request")
    assert content["type"] == "urn:problem-type:gateway:invalid-request"
    assert await wire.closed(1)
    assert "s3cret" not in json.dumps(content) + caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_client_who_leaves_within_a_request_is_no_error_of_the_gateway(
    start_gateway: Start, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await start_gateway()
    for sent in (HEAD, HEAD + b"Content-Length: 100\r\n\r\n" + PAYLOAD[:20]):
        wire = await gateway.connect()
        wire.writer.write(sent)
        await asyncio.sleep(0.05)
        wire.writer.transport.abort()
    await asyncio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
