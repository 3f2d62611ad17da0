"""A client's side of HTTP/1.1 that costs next to nothing: bytes out, one answer back at a time.

A driver must be cheaper than what it drives. A connection that the server closes while a request
has no answer has lost it: only the client could know whether sending it again is safe.
"""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple, cast
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_TYPE = re.compile(rb"\r\ncontent-type:[ \t]*([^\r;]+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class Lost(Exception):
    """The connection was closed before the answer had come whole."""


class Reply(NamedTuple):
    """An answer. ``head`` is the status line and the header as they came."""

    status: int
    head: bytes
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type without parameters, empty where there is none."""
        found = _TYPE.search(self.head)
        return found[1].decode("latin-1") if found else ""


class Connection(asyncio.Protocol):
    """One connection; :attr:`open` says whether it can be asked (again)."""

    def __init__(self) -> None:
        self.open = False
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._waiting: asyncio.Future[Reply] | None = None

    def ask(self, request: bytes) -> asyncio.Future[Reply]:
        """Send a request; the future may raise :class:`Lost`. One at a time."""
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.open:
            waiting.set_exception(Lost("closed before the request"))
            return waiting
        assert self._waiting is None
        self._waiting = waiting
        self._transport.write(request)
        return waiting

    def close(self) -> None:
        """Close the connection; whoever waits is told :class:`Lost`."""
        self.open = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not derived from it
        self.open = True

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(_END)
        if end < 0:
            return
        head = received[:end]
        length = _LENGTH.search(head)
        waiting = self._waiting
        if length is None or waiting is None:
            self.close()  # an answer nobody can read the end of, or has asked for
            return
        total = end + len(_END) + int(length[1])
        if len(received) < total:
            return
        self._received, self._waiting = received[total:], None
        if _CLOSE.search(head):
            self.close()
        if not waiting.done():  # given up this very moment
            waiting.set_result(Reply(int(head[9:12]), head, received[end + len(_END) : total]))

    def eof_received(self) -> None:
        self.open = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            how = "amid the answer" if self._received else "before the answer"
            waiting.set_exception(Lost(f"closed {how}" + (f": {exc}" if exc else "")))


async def connect(url: str) -> Connection:
    """A connection to ``http://host:port``; raises OSError."""
    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, where.hostname or "", where.port or 80)
    return connection


def encode(method: str, url: str, path: str, headers: dict[str, str], body: str) -> bytes:
    """A request as it is sent; ``path`` includes the query."""
    content = body.encode()
    lines = {"Host": urlsplit(url).netloc, "Content-Type": "application/json", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return (
        f"{method} {path} HTTP/1.1\r\n{head}Content-Length: {len(content)}\r\n\r\n".encode(
            "latin-1"
        )
        + content
    )
