"""On the wire: the door's own way and the application's say the same, to every kind of client."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from aiohttp import web

from gateway.api.connection import Arrival
from gateway.api.predict import PredictDoor
from gateway.app import create_app, start
from gateway.config import Settings
from gateway.errors import BackendError
from gateway.models.rows import Outputs, Rows
from tests.conftest import MIXED, MakeClient, write_model
from tests.held import HeldBackend
from tests.waiting import until
from tests.wire import Wire

#: No JSON can be made of it.
OPAQUE = np.array([object()])
PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}


@pytest.fixture
async def wire(make_client: MakeClient, mixed_repository: Path) -> Wire:
    return await Wire.to(await make_client(mixed_repository))


async def test_a_connection_is_kept(wire: Wire) -> None:
    for count in range(3):
        wire.send(json.dumps(PAYLOAD | {"count": count}).encode())
        status, headers, content = await wire.receive()
        assert status == "HTTP/1.1 200 OK"
        assert content["predictions"][0]["total"] == count + 100.5
        assert content["request_id"] == headers["X-Request-Id"]
        assert headers["Content-Type"] == "application/json"
        assert headers["Date"].endswith("GMT")
        assert "Connection" not in headers


@pytest.mark.parametrize(
    ("version", "headers", "kept"),
    [
        ("1.1", {"Connection": "close"}, False),
        ("1.0", {}, False),
        ("1.0", {"Connection": "keep-alive"}, True),
    ],
)
async def test_other_kinds_of_client(
    wire: Wire, version: str, headers: dict[str, str], kept: bool
) -> None:
    wire.send(json.dumps(PAYLOAD).encode(), version, **headers)
    status, received, content = await wire.receive()
    assert status == f"HTTP/{version} 200 OK"
    assert content["predictions"][0]["total"] == 102.5
    assert (received.get("Connection", "").lower() == "keep-alive") is kept
    if not kept:
        assert await wire.closed()


async def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    for count in range(20):
        wire.send(json.dumps(PAYLOAD | {"count": count % 10}).encode(), X_Request_Id=f"r{count}")
    for count in range(20):
        _, headers, content = await wire.receive()
        assert headers["X-Request-Id"] == f"r{count}"
        assert content["predictions"][0]["total"] == count % 10 + 100.5


async def test_bodies_that_come_in_pieces_and_answers_that_are_large(wire: Wire) -> None:
    body = json.dumps({"instances": [PAYLOAD] * 5_000}).encode()
    wire.send(body[:0])
    status, _, content = await wire.receive()
    assert status.startswith("HTTP/1.1 400")
    head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    wire.writer.write(head.encode())
    for first in range(0, len(body), 50_000):
        wire.writer.write(body[first : first + 50_000])
        await asyncio.sleep(0.001)
    status, headers, content = await wire.receive()
    assert status == "HTTP/1.1 200 OK"
    assert len(content["predictions"]) == 5_000
    assert int(headers["Content-Length"]) > 64 * 1024


async def test_a_reader_who_is_slow_does_not_fill_memory(wire: Wire) -> None:
    """Unread answers go aiohttp's way, which waits for the reader."""
    body = json.dumps({"instances": [PAYLOAD] * 1_000}).encode()
    for _ in range(100):
        wire.send(body)
    await asyncio.sleep(0.5)
    for _ in range(100):
        status, _, content = await wire.receive()
        assert status == "HTTP/1.1 200 OK"
        assert len(content["predictions"]) == 1_000


class Started(NamedTuple):
    """A gateway with a backend that can be held, made slow or made to fail."""

    runner: web.AppRunner
    backend: HeldBackend

    async def connect(self) -> Wire:
        host, port = self.runner.addresses[0][:2]
        wire = Wire(*await asyncio.open_connection(host, port))
        wire.send(json.dumps(PAYLOAD).encode())  # the first goes the application's way
        await wire.receive()
        return wire

    @property
    def connections(self) -> int:
        """How many clients the gateway has."""
        assert self.runner.server is not None
        return len(self.runner.server.connections)


def add_up(rows: Rows) -> Outputs:
    total = np.add(rows.columns["count"], rows.columns["size"], dtype=np.float64)
    return {"total": total, "named": rows.columns["name"]}


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Started]:
    backends: dict[str, Any] = {"memory": {"lineages": {"only": {}}}}
    write_model(tmp_path / "mixed", MIXED | {"backends": backends})
    backend = HeldBackend(add_up)
    app = create_app(Settings(repository=str(tmp_path)), {"memory": backend})
    runner = await start(app, "127.0.0.1", 0)
    yield Started(runner, backend)
    await runner.cleanup()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the door has taken each request that was offered to it."""
    results: list[bool] = []

    def take(door: PredictDoor, arrival: Arrival) -> bool:
        results.append(original(door, arrival))
        return results[-1]

    original = PredictDoor.take
    monkeypatch.setattr(PredictDoor, "take", take)
    return results


async def test_both_ways_answer_the_same(started: Started, taken: list[bool]) -> None:
    wire = await started.connect()
    bad = json.dumps(PAYLOAD | {"count": "x"}).encode()
    good = json.dumps(PAYLOAD | {"count": 12}).encode()
    for body, status in ((good, "200"), (bad, "422"), (b"{", "400")):
        answers = []
        for compressed in (False, True):  # compressed ones are left to the application
            sent = gzip.compress(body) if compressed else body
            wire.send(
                sent, X_Request_Id="same", **({"Content_Encoding": "gzip"} if compressed else {})
            )
            line, headers, content = await wire.receive()
            assert line.split()[1] == status
            headers.pop("Server-Timing", None)
            answers.append((line, headers, content))
        assert answers[0] == answers[1]
    assert taken == [True] * 3


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON ;charset=UTF-8", "application/x+json"],
)
async def test_json_by_any_name_is_taken(
    started: Started, taken: list[bool], content_type: str
) -> None:
    wire = await started.connect()
    body = json.dumps(PAYLOAD).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
    wire.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status, _, content = await wire.receive()
    assert status == "HTTP/1.1 200 OK"
    assert content["predictions"][0]["total"] == 2.5
    assert taken == [True]


async def test_a_small_body_sent_apart_from_its_head_is_waited_for(
    started: Started, taken: list[bool]
) -> None:
    wire = await started.connect()
    body = json.dumps(PAYLOAD).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for pieces in ([head, body], [head[:20], head[20:], body[:5], body[5:]], [head + body]):
        for piece in pieces:
            wire.writer.write(piece)
            await asyncio.sleep(0.02)
        status, headers, content = await wire.receive()
        assert (status, "Connection" in headers) == ("HTTP/1.1 200 OK", False)
        assert content["predictions"][0]["total"] == 2.5
    wire.writer.write(head + body + head)  # and behind another request
    assert (await wire.receive())[0] == "HTTP/1.1 200 OK"
    wire.writer.write(body)
    assert (await wire.receive())[0] == "HTTP/1.1 200 OK"
    assert taken == [True] * 5


@pytest.mark.parametrize(
    "lines",
    [
        "Expect: 100-continue\r\nContent-Length: {}",
        "Transfer-Encoding: chunked",
        "Content-Length: 100000",
    ],
)
async def test_what_else_comes_without_its_body_is_left_to_the_application(
    started: Started, taken: list[bool], lines: str
) -> None:
    wire = await started.connect()
    body = json.dumps(PAYLOAD).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n".format(len(body))
    wire.writer.write(head.encode())
    await asyncio.sleep(0.02)
    if "Expect" in lines:
        interim = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 5)
        assert interim.startswith(b"HTTP/1.1 100 ")
    if "chunked" in lines:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    wire.writer.write(body.ljust(100_000) if "100000" in lines else body)
    assert (await wire.receive())[0] == "HTTP/1.1 200 OK"
    assert taken == []


async def test_who_leaves_before_the_body_has_come_leaves_nothing_behind(
    started: Started, taken: list[bool]
) -> None:
    wire = await started.connect()
    wire.writer.write(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    await asyncio.sleep(0.02)
    wire.writer.transport.abort()
    await until(lambda: not started.connections)
    assert taken == []


async def test_what_is_no_json_is_left_to_the_application(
    started: Started, taken: list[bool]
) -> None:
    wire = await started.connect()
    head = "POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: text/json; x=+json\r\n"
    wire.writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
    status, _, _ = await wire.receive()
    assert status == "HTTP/1.1 415 Unsupported Media Type"
    assert taken == [False]


async def test_what_a_backend_fails_with_is_a_problem(started: Started, taken: list[bool]) -> None:
    wire = await started.connect()
    started.backend.fail = BackendError("memory", "it fell over")
    wire.send(json.dumps(PAYLOAD).encode())
    status, headers, content = await wire.receive()
    assert status == "HTTP/1.1 502 Bad Gateway"
    assert headers["Content-Type"] == "application/problem+json"
    assert "it fell over" in content["detail"]
    started.backend.fail, started.backend.delay = None, 5
    wire.send(json.dumps(PAYLOAD).encode(), X_Request_Timeout_Ms="200")
    status, _, _ = await wire.receive()
    assert status == "HTTP/1.1 504 Gateway Timeout"
    started.backend.delay = 0
    started.backend.predictor = lambda rows: {"total": rows.columns["count"], "named": OPAQUE}
    wire.send(json.dumps(PAYLOAD).encode())
    status, _, content = await wire.receive()
    assert status == "HTTP/1.1 500 Internal Server Error"
    assert "OPAQUE" not in json.dumps(content)
    assert taken == [True] * 3


async def test_refused_requests_in_a_pipeline_do_not_pile_up(
    started: Started, taken: list[bool]
) -> None:
    wire = await started.connect()
    bodies = [json.dumps(PAYLOAD | {"count": "x" if i % 10 else 1}).encode() for i in range(1_500)]
    for body in bodies:
        wire.send(body)
    for i in range(1_500):
        status, _, _ = await wire.receive()
        assert status.split()[1] == ("422" if i % 10 else "200")
    assert sum(taken) > 1_000


async def test_a_client_who_leaves_gives_its_place_free(
    started: Started, taken: list[bool]
) -> None:
    wires = [await started.connect() for _ in range(4)]
    started.backend.calls.clear()
    taken.clear()  # each connect made a request, too
    started.backend.let_go.clear()
    for wire in wires:
        wire.send(json.dumps(PAYLOAD).encode())
        await until(lambda: started.backend.calls)  # the first is in flight, the others wait
    await until(lambda: len(taken) == 4)
    for wire in wires[:3]:
        wire.writer.transport.abort()
    await until(lambda: started.connections == 1)
    started.backend.let_go.set()
    status, _, _ = await wires[3].receive()
    assert status.startswith("HTTP/1.1 200")
    assert started.backend.calls == [1, 1]
    assert taken == [True] * 4


async def test_stopping_waits_for_what_was_taken(started: Started, taken: list[bool]) -> None:
    wire, idle = await started.connect(), await started.connect()
    started.backend.delay = 0.2
    wire.send(json.dumps(PAYLOAD).encode())
    await asyncio.sleep(0.05)
    stopped = asyncio.create_task(started.runner.cleanup())
    status, _, content = await wire.receive()
    assert status == "HTTP/1.1 200 OK"
    assert content["predictions"][0]["total"] == 2.5
    await stopped
    assert await wire.closed()
    assert await idle.closed()
    assert taken == [True, True]  # idle's, and the one that was waited for
