"""Stopping in order: what readiness says, who is still answered, and whose connection ends."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, web

from gateway.api.drain import DRAIN
from gateway.api.runner import Runner
from gateway.app import create_app, start
from gateway.config import Settings
from gateway.models.rows import Outputs, Rows
from tests.conftest import MIXED, write_model
from tests.held import HeldBackend
from tests.waiting import until
from tests.wire import Wire

PAYLOAD = json.dumps({"count": 2, "size": 0.5, "big": True, "name": "b"}).encode()
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(PAYLOAD)


def as_sent(compressed: bool) -> bytes:
    """A whole request; compressed ones are left to the application."""
    if not compressed:
        return HEAD + PAYLOAD
    body = gzip.compress(PAYLOAD)
    head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Encoding: gzip\r\n\r\n".encode() + body


def add_up(rows: Rows) -> Outputs:
    total = np.add(rows.columns["count"], rows.columns["size"], dtype=np.float64)
    return {"total": total, "named": rows.columns["name"]}


class Started:
    """A gateway with a backend that can be held or made slow."""

    def __init__(self, app: web.Application, runner: Runner, backend: HeldBackend) -> None:
        self.app = app
        self.runner = runner
        self.backend = backend
        self.port: int = runner.addresses[0][1]

    async def connect(self) -> Wire:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        wire.send(PAYLOAD)
        _, headers, _ = await wire.receive()
        assert "Connection" not in headers
        return wire


@pytest.fixture
async def started(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Started]:
    """Stopping takes so many seconds at most as the test's parameter says."""
    backends: dict[str, Any] = {"memory": {"lineages": {"only": {}}}}
    write_model(tmp_path / "mixed", MIXED | {"backends": backends})
    shutdown_s = getattr(request, "param", 30.0)
    settings = Settings(
        repository=str(tmp_path), required_backends="memory", shutdown_timeout_s=shutdown_s
    )
    backend = HeldBackend(add_up)
    app = create_app(settings, {"memory": backend})
    runner = await start(app, "127.0.0.1", 0)
    yield Started(app, runner, backend)
    await runner.cleanup()


async def test_while_draining_everyone_is_answered_and_asked_to_go(started: Started) -> None:
    ours, theirs = await started.connect(), await started.connect()
    async with ClientSession(f"http://127.0.0.1:{started.port}") as client:
        assert (await client.get("/readyz")).status == 200
        started.app[DRAIN].begun = True
        answer = await client.get("/readyz")
        assert (answer.status, answer.headers["Connection"]) == (503, "close")
        assert "draining" in (await answer.json())["reasons"][0]
        assert (await client.get("/healthz")).status == 200
    ours.send(PAYLOAD)  # taken by the connection
    theirs.writer.write(as_sent(compressed=True))
    for wire in (ours, theirs):
        status, headers, _ = await wire.receive()
        assert (status, headers["Connection"]) == ("HTTP/1.1 200 OK", "close")
        assert await wire.closed()
    new = Wire(*await asyncio.open_connection("127.0.0.1", started.port))
    new.send(PAYLOAD)
    status, headers, _ = await new.receive()
    assert (status, headers["Connection"]) == ("HTTP/1.1 200 OK", "close")


@pytest.mark.parametrize("compressed", [False, True])
async def test_what_was_sent_ahead_is_answered_before_the_connection_ends(
    started: Started, compressed: bool
) -> None:
    wire = await started.connect()
    started.backend.delay = 0.1
    wire.writer.write(as_sent(compressed) * 3)
    await asyncio.sleep(0.05)
    started.app[DRAIN].begun = True
    kept = []
    for _ in range(3):
        status, headers, _ = await wire.receive()
        assert status == "HTTP/1.1 200 OK"
        kept.append(headers.get("Connection"))
    assert kept == [None, None, "close"]
    assert await wire.closed()


async def test_stopping_ends_idle_connections_and_waits_for_the_others(started: Started) -> None:
    idle, half, waiting, sending = [await started.connect() for _ in range(4)]
    started.backend.let_go.clear()
    started.backend.calls.clear()
    half.writer.write(b"POST /v1")
    sending.writer.write(HEAD + PAYLOAD[:20])
    waiting.send(PAYLOAD)
    await until(lambda: started.backend.calls)
    stopping = asyncio.create_task(started.runner.cleanup())
    assert await idle.closed()
    assert await half.closed()
    with pytest.raises(OSError, match="onnect"):
        await started.connect()
    sending.writer.write(PAYLOAD[20:])
    started.backend.let_go.set()
    for wire in (waiting, sending):
        status, headers, _ = await wire.receive()
        assert (status, headers["Connection"]) == ("HTTP/1.1 200 OK", "close")
        assert await wire.closed()
    await asyncio.wait_for(stopping, 10)  # and not for the time it has


@pytest.mark.parametrize("started", [1.0], indirect=True)
async def test_stopping_does_not_wait_for_ever(started: Started) -> None:
    wire = await started.connect()
    started.backend.delay = 8
    wire.send(PAYLOAD)
    await asyncio.sleep(0.05)
    begun = asyncio.get_running_loop().time()
    await started.runner.cleanup()
    assert 0.9 < asyncio.get_running_loop().time() - begun < 4
