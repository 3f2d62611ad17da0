"""Small servers whose answers, times and faults a test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from loadtests.compare.load.http1 import encode
from loadtests.compare.load.plan import Plan


class Call(asyncio.Protocol):
    """One connection of a server: calls ``on_request`` with itself for each request."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.requests = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.open.add(self)
        self.server.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open.discard(self)

    def data_received(self, data: bytes) -> None:
        assert data.startswith(b"POST /x ")  # the requests are small: each comes in one piece
        self.requests += 1
        self.server.requests.append(data)
        self.server.on_request(self)

    def say(self, data: bytes, after: float = 0.0) -> None:
        """Send these bytes, at once or some seconds later."""
        if after:
            asyncio.get_running_loop().call_later(after, self.transport.write, data)
        else:
            self.transport.write(data)


class Server:
    """What was asked of it, and its connections."""

    def __init__(self, on_request: Callable[[Call], None]) -> None:
        self.on_request = on_request
        self.requests: list[bytes] = []
        self.connections = 0
        self.open: set[Call] = set()
        self.port = 0

    def plan(self, **given: Any) -> Plan:
        """A plan for this server: one connection, 0.3 seconds, closed loop."""
        requests = [encode("POST", "http://127.0.0.1", "/x", {}, body) for body in ("{}", "[]")]
        usual: dict[str, Any] = {"requests": requests, "connections": 1, "seconds": 0.3}
        return Plan(**(usual | {"host": "127.0.0.1", "port": self.port} | given))


@asynccontextmanager
async def serving(on_request: Callable[[Call], None]) -> AsyncIterator[Server]:
    """A server on a port of its own."""
    server = Server(on_request)
    listening = await asyncio.get_running_loop().create_server(lambda: Call(server), "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for call in list(server.open):
            call.transport.abort()


def answer(status: int = 200, body: bytes = b"{}", header: str = "") -> bytes:
    """A whole answer; ``header`` holds further lines, each with its line end."""
    head = f"HTTP/1.1 {status} Words\r\n{header}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def problem(status: int, slug: str) -> bytes:
    """An answer with a problem document, as the gateway's."""
    body = f'{{"type":"urn:problem-type:gateway:{slug}","status":{status}}}'
    return answer(status, body.encode(), "Content-Type: application/problem+json\r\n")
