"""HTTP requests over kept-alive connections: aiohttp's pool and parser without its session.

For each request aiohttp's session makes a request, a response and a timer, looks for cookies,
redirects and proxies, and may start a task that writes. That costs more than all else the gateway
does for a prediction. A backend needs none of it: one block of bytes goes out, one reply comes
back, and what is left, :meth:`Pool.exchange`, is what the session does with a connection.

This is the only place that uses parts of aiohttp's client which it does not document:
``ClientRequest`` as what names a connection, ``BaseConnector.connect`` with all of its parameters,
and of the connection's protocol ``set_response_params``, ``read``, ``is_connected`` and
``should_close``. The bound on aiohttp in pyproject.toml is for them, too.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Mapping

import aiohttp
from aiohttp import hdrs
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

#: A connection that the server has closed, or is closing: it may have been kept for too long.
STALE = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    ConnectionResetError,
    BrokenPipeError,
)
#: A reply that breaks off, or is no HTTP.
BROKEN = (aiohttp.ClientError, HttpProcessingError)
#: What a header must not hold: it would begin another one.
_BREAK = re.compile(r"[\r\n\0]")
_MAX_TEMPLATES = 1_000


class NoConnection(Exception):
    """No connection can be made; says why."""


class Pool:
    """At most ``limit`` connections; ``connect_timeout`` (seconds) bounds the way to a new one.

    Belongs to the event loop it is made in. Takes no proxy, follows no redirect, keeps no cookie.
    """

    def __init__(self, limit: int, connect_timeout: float) -> None:
        self._connector = aiohttp.TCPConnector(limit=limit)
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect_timeout)
        self._templates: dict[tuple[str, URL, str], _Template] = {}

    async def exchange(
        self, method: str, base: URL, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request to ``path`` below ``base``; returns the reply's status, headers, body.

        Raises :class:`NoConnection`, and what :data:`STALE` and :data:`BROKEN` name. Whoever
        cancels it, at a deadline for instance, closes the connection: a late reply is nobody's.
        """
        template = self._template(method, base, path)
        data = template.head(headers, len(body)) + body
        try:
            connection = await self._connector.connect(template.request, [], self._timeout)
        except TimeoutError as error:
            raise NoConnection("it took too long") from error
        except aiohttp.ClientConnectionError as error:
            raise NoConnection(words(error)) from error
        try:
            protocol = connection.protocol
            if protocol is None or protocol.transport is None or not protocol.is_connected():
                raise ConnectionResetError("it was closed before anything was sent")
            if protocol.should_close:  # else this would be taken for the reply
                raise ConnectionResetError("it said something before it was asked")
            transport = protocol.transport
            protocol.set_response_params(skip_payload=method == "HEAD", read_until_eof=True)
            transport.write(data)
            message, payload = await protocol.read()
            while message.code < 200 and message.code != 101:  # more is to come
                message, payload = await protocol.read()
            content = await payload.read()
        except BaseException:
            _break_off(connection)
            raise
        if transport.get_write_buffer_size():
            _break_off(connection)  # it has answered before it was sent all, and may read no more
        else:
            connection.release()
        return message.code, message.headers, content

    async def close(self) -> None:
        """Close the connections."""
        await self._connector.close()

    def _template(self, method: str, base: URL, path: str) -> _Template:
        key = method, base, path
        template = self._templates.get(key)
        if template is None:
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            url = base.joinpath(*path.strip("/").split("/"))
            template = self._templates[key] = _Template(method, url)
        return template


def _break_off(connection: Connection) -> None:
    """Close it now: one that is only closed stays until the server has read all it was sent."""
    protocol = connection.protocol
    if protocol is not None and protocol.transport is not None:
        protocol.transport.abort()
    connection.close()


class _Template:
    """What all requests of one method to one URL have in common; kept, as making it costs much."""

    __slots__ = ("_always_sized", "_head", "request")

    def __init__(self, method: str, url: URL) -> None:
        # No compression is asked for: between servers it costs more than it saves.
        self.request = aiohttp.ClientRequest(
            method,
            url,
            loop=asyncio.get_running_loop(),
            skip_auto_headers=(hdrs.ACCEPT_ENCODING,),
        )
        headers = self.request.headers
        self._always_sized = headers.pop(hdrs.CONTENT_LENGTH, None) is not None
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        self._head = f"{self.request.method} {url.raw_path_qs} HTTP/1.1\r\n{lines}"

    def head(self, headers: Mapping[str, str], length: int) -> bytes:
        """The head of one request; raises ValueError at a header with a line break."""
        if _BREAK.search("".join([*headers, *headers.values()])):
            raise ValueError("a header holds a line break")
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        size = f"Content-Length: {length}\r\n" if length or self._always_sized else ""
        return f"{self._head}{lines}{size}\r\n".encode("utf-8", "surrogateescape")


def words(error: BaseException) -> str:
    """What went wrong, in the operating system's words where it is the one that says so."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, HttpProcessingError):
        return cause.message.partition("\n")[0].rstrip(":") or type(cause).__name__
    if not isinstance(cause, OSError):
        return str(cause) or type(cause).__name__
    own_words = isinstance(cause, (ssl.SSLError, socket.gaierror))  # their numbers are not errno's
    if cause.errno is not None and not own_words:
        return os.strerror(cause.errno)
    return cause.strerror or str(cause) or type(cause).__name__
