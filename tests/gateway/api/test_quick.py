"""Responses on the wire: the quick way and aiohttp's own say the same, to every kind of client."""

from __future__ import annotations

import asyncio
import json
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeClient

PAYLOAD = {"count": 2, "size": 0.5, "big": True, "name": "b"}


class Wire:
    """A raw connection to a gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, body: bytes, version: str = "1.1", **headers: str) -> None:
        lines = [f"POST /v1/predict HTTP/{version}", "Host: x", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def receive(self) -> tuple[str, dict[str, str], Any]:
        """Status line, headers and decoded body of the next response."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        status, _, rest = head.partition(b"\r\n")
        headers = dict(BytesParser().parsebytes(rest).items())
        body = await self.reader.readexactly(int(headers["Content-Length"]))
        return status.decode(), headers, json.loads(body)

    async def closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(1), 5) == b""


@pytest.fixture
async def wire(make_client: MakeClient, mixed_repository: Path) -> Wire:
    client = await make_client(mixed_repository)
    url = client._base_url
    assert url is not None
    return Wire(*await asyncio.open_connection(url.host, url.port))


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
    for start in range(0, len(body), 50_000):
        wire.writer.write(body[start : start + 50_000])
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
