"""Requests over pooled connections, judged by a server that answers with given bytes."""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp.connector
import pytest
import uvloop
from aiohttp.test_utils import unused_port
from yarl import URL

from gateway.backends import Call, TorchServeBackend
from gateway.backends.http import HTTPBackend, Reply
from gateway.backends.pool import STALE, NoConnection, Pool
from gateway.errors import BackendError, BackendTimeout, BackendUnavailable
from tests.gateway.backends.test_http import target, tfserving
from tests.gateway.test_tls import OPENSSL, make_pair

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
Answer = Callable[["Visitor"], Awaitable[None]]


class Visitor:
    """One connection of the pool, as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        #: Set when the connection has ended.
        self.gone = asyncio.Event()

    async def request(self) -> bytes:
        """The next request, head and body; empty at the end."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        found = _LENGTH.search(head)
        return head + await self.reader.readexactly(int(found[1]) if found else 0)

    def reset(self) -> None:
        """End the connection as a kernel does whose program had closed it before."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    """Answers requests with given bytes, or as a function does; keeps the requests."""

    def __init__(self, answer: bytes | Answer, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.visitors: list[Visitor] = []
        self._answer = answer
        self._context = context

    async def open(self, host: str = "127.0.0.1") -> Self:
        self._server = await asyncio.start_server(self._serve, host, 0, ssl=self._context)
        port = self._server.sockets[0].getsockname()[1]
        scheme = "https" if self._context else "http"
        self.url = URL.build(scheme=scheme, host=host, port=port)
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitor = Visitor(reader, writer)
        self.visitors.append(visitor)
        try:
            while request := await visitor.request():
                self.requests.append(request)
                if callable(self._answer):
                    await self._answer(visitor)
                else:
                    writer.write(self._answer)
                    if b"Content-Length" not in self._answer and b"chunked" not in self._answer:
                        break
        finally:
            visitor.gone.set()
            writer.close()

    async def close(self) -> None:
        self._server.close()
        for visitor in self.visitors:
            visitor.writer.close()
        await asyncio.gather(*(visitor.gone.wait() for visitor in self.visitors))


@asynccontextmanager
async def serving(
    answer: bytes | Answer, host: str = "127.0.0.1", limit: int = 100, **options: Any
) -> AsyncIterator[tuple[Pool, Server]]:
    """A pool and a server."""
    pool, server = Pool(limit, 1.0), await Server(answer, **options).open(host)
    try:
        yield pool, server
    finally:
        await pool.close()
        await server.close()


async def get(pool: Pool, server: Server, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of a reply, which must come soon."""
    async with asyncio.timeout(10):
        method = "POST" if body else "GET"
        status, _, content = await pool.exchange(method, server.url, "/a/b", {}, body)
        return status, content


@pytest.mark.parametrize(
    ("reply", "expected", "kept"),
    [
        (OK, b"ok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + OK,
         b"ok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
         b"ok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", b"ok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nok", b"ok", False),  # to the end
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
         % (len(gzip.compress(b"ok", mtime=0)), gzip.compress(b"ok", mtime=0)), b"ok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000,
         b"x" * 3_000_000, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", b"ok", False),
    ],
)  # fmt: skip
async def test_replies_are_read_whole_and_connections_kept(
    reply: bytes, expected: bytes, kept: bool
) -> None:
    async with serving(reply) as (pool, server):
        for _ in range(3):
            assert (await get(pool, server))[1] == expected
        assert len(server.visitors) == (1 if kept else 3)


async def test_redirects_are_not_followed() -> None:
    reply = b"HTTP/1.1 307 Away\r\nLocation: /c\r\nContent-Length: 0\r\n\r\n"
    async with serving(reply) as (pool, server):
        assert await get(pool, server) == (307, b"")
        assert len(server.requests) == 1


async def test_what_is_sent() -> None:
    async with serving(OK) as (pool, server):
        url = server.url.with_path("/base dir/").with_user("me").with_password("secret")
        await pool.exchange("GET", url, "a/b", {"X-Request-Id": "é"}, b"")
        await pool.exchange("POST", url, "a/b", {}, b"")
        await pool.exchange("POST", url, "a/b", {}, b"{}")
        first, second, third = server.requests
    line, *lines = first.decode().split("\r\n")
    assert line == "GET /base%20dir/a/b HTTP/1.1"
    headers = dict(one.split(": ", 1) for one in lines if one)
    assert headers.pop("User-Agent").startswith("Python/")
    assert headers == {
        "Host": f"127.0.0.1:{server.url.port}",
        "Accept": "*/*",
        "Authorization": "Basic " + base64.b64encode(b"me:secret").decode(),
        "X-Request-Id": "é",
    }
    assert b"\r\nContent-Length: 0\r\n\r\n" in second
    assert third.endswith(b"\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize("header", [{"A": "b\r\nC: d"}, {"A\n": "b"}, {"A": "b\0"}])
async def test_a_header_cannot_begin_another(header: dict[str, str]) -> None:
    async with serving(OK) as (pool, server):
        with pytest.raises(ValueError, match="line break"):
            await pool.exchange("GET", server.url, "/", header, b"")
        assert not server.requests


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
async def test_ipv6() -> None:
    async with serving(OK, host="::1") as (pool, server):
        assert await get(pool, server) == (200, b"ok")
        assert f"Host: [::1]:{server.url.port}".encode() in server.requests[0]


async def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    async with serving(OK) as (pool, server):
        assert await get(pool, server) == (200, b"ok")


@pytest.mark.skipif(OPENSSL is None, reason="needs openssl to make certificates")
async def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = make_pair(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair)
    async with serving(OK, context=context) as (pool, server):
        with pytest.raises(NoConnection, match="certificate verify failed"):
            await get(pool, server)
        trusting = ssl.create_default_context(cafile=str(pair.certificate))
        monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
        for _ in range(2):
            assert await get(pool, server) == (200, b"ok")
        assert len(server.requests) == 2


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", OK[:-1]])
async def test_a_reply_that_nobody_waits_for_any_longer(sent: bytes) -> None:
    """The connection is closed: what may still come on it is not the next one's reply."""

    async def answer(visitor: Visitor) -> None:
        if len(server.requests) == 1:
            visitor.writer.write(sent)
            begun.set()
        else:
            visitor.writer.write(OK)

    begun = asyncio.Event()
    async with serving(answer) as (pool, server):
        asking = asyncio.create_task(get(pool, server))
        await begun.wait()
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.visitors[0].gone.wait(), 5)
        assert await get(pool, server) == (200, b"ok")
        assert len(server.visitors) == 2


async def test_what_a_server_says_unasked_is_no_reply() -> None:
    async def answer(visitor: Visitor) -> None:
        visitor.writer.write(OK)
        await visitor.writer.drain()
        await asyncio.sleep(0.01)
        visitor.writer.write(b"HTTP/1.1 408 Too late\r\nContent-Length: 0\r\n\r\n")
        said.set()

    said = asyncio.Event()
    async with serving(answer) as (pool, server):
        assert await get(pool, server) == (200, b"ok")
        await said.wait()
        await asyncio.sleep(0.01)
        with pytest.raises(STALE):
            await get(pool, server)
        assert await get(pool, server) == (200, b"ok")


async def test_who_answers_before_it_has_read_all_is_not_asked_again() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n")
        await ended.wait()
        writer.close()

    ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = URL.build(scheme="http", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    pool = Pool(1, 1.0)
    async with server:
        for _ in range(2):
            async with asyncio.timeout(10):
                status, _, _ = await pool.exchange("POST", url, "/", {}, bytes(20_000_000))
            assert status == 413
        ended.set()
        await pool.close()


async def test_the_pool_has_bounds() -> None:
    async def answer(visitor: Visitor) -> None:
        await gate.wait()
        visitor.writer.write(OK)

    gate = asyncio.Event()
    async with serving(answer, limit=2) as (pool, server):
        asking = [asyncio.create_task(get(pool, server)) for _ in range(6)]
        await asyncio.sleep(0.05)
        gate.set()
        assert await asyncio.gather(*asking) == [(200, b"ok")] * 6
        assert len(server.visitors) == 2


async def test_a_request_that_nobody_reads_leaves_no_connection() -> None:
    def read_all() -> int:
        with server.accept()[0] as connection:
            connection.settimeout(10)
            return sum(map(len, iter(lambda: connection.recv(1 << 20), b"")))

    size = 64 * 1024 * 1024
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = Pool(1, 1.0)
        url = URL.build(scheme="http", host="127.0.0.1", port=server.getsockname()[1])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pool.exchange("POST", url, "/", {}, bytes(size))
        # What was not sent by then is dropped; a connection that is only closed would send it all.
        assert await asyncio.to_thread(read_all) < size
        await pool.close()


async def test_who_does_not_take_connections_is_not_waited_for() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        pool = Pool(1, 0.1)
        url = URL.build(scheme="http", host="127.0.0.1", port=address[1])
        with pytest.raises(NoConnection, match="it took too long"):
            await pool.exchange("GET", url, "/", {}, b"")
        await pool.close()
        for one in waiting:
            one.close()


async def ask(backend: HTTPBackend, seconds: float = 5.0) -> Reply:
    return await backend.request("POST", "/a", Call.within(seconds), {"a": 1})


def resets() -> Coroutine[Any, Any, tuple[list[int], int]]:
    """Statuses of three requests to a server that resets kept connections, and its connections."""

    async def answer(visitor: Visitor) -> None:
        visitor.writer.write(OK)
        await visitor.reader.read(1)  # the next request comes, and is left unread
        visitor.reset()

    async def scenario() -> tuple[list[int], int]:
        server = await Server(answer).open()
        backend = tfserving(str(server.url))
        statuses = [(await ask(backend)).status for _ in range(3)]
        await backend.close()
        connections = len(server.visitors)
        await server.close()
        return statuses, connections

    return scenario()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_reset_of_a_kept_connection_never_shows(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(resets()) == ([200] * 3, 3)


async def test_a_new_connection_that_is_reset_is_named() -> None:
    async def answer(visitor: Visitor) -> None:
        visitor.reset()

    server = await Server(answer).open()
    backend = tfserving(str(server.url.with_user("me").with_password("secret")))
    with pytest.raises(BackendUnavailable) as caught:
        await ask(backend)
    assert caught.value.detail.endswith(f"{server.url} closed the connection: " + RESET)
    assert len(server.visitors) == 2
    await backend.close()
    await server.close()


RESET, REFUSED = "Connection reset by peer", "Connection refused"


async def test_errors_name_the_address_that_was_asked(tmp_path: Path) -> None:
    inference, management = unused_port(), unused_port()
    backend = TorchServeBackend(
        f"http://me:secret@127.0.0.1:{inference}", f"http://me:secret@127.0.0.1:{management}"
    )
    where = target(backend, tmp_path)
    await backend.load(where)
    with pytest.raises(BackendUnavailable) as caught:
        await ask(backend)
    health = await backend.check(where, Call.within(5))
    await backend.close()
    words = "no connection to http://127.0.0.1:{}: " + REFUSED
    assert caught.value.detail.endswith(words.format(inference))
    assert health.detail.endswith(words.format(management))


@pytest.mark.parametrize(
    "line", [b"HELLO\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: %s\r\n\r\n" % (b"a" * 9000)]
)
async def test_what_is_no_http_cannot_be_read(line: bytes) -> None:
    async def answer(visitor: Visitor) -> None:
        visitor.writer.write(line)

    server = await Server(answer).open()
    backend = tfserving(str(server.url))
    with pytest.raises(BackendError, match="cannot be read") as caught:
        await ask(backend)
    assert caught.value.status == 502
    assert "\n" not in caught.value.detail
    await backend.close()
    await server.close()


async def test_the_deadline_holds_while_a_reply_comes_in() -> None:
    async def answer(visitor: Visitor) -> None:
        visitor.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        while not visitor.reader.at_eof():
            visitor.writer.write(b"x")
            await asyncio.sleep(0.02)

    server = await Server(answer).open()
    backend = tfserving(str(server.url))
    with pytest.raises(BackendTimeout):
        await ask(backend, 0.2)
    await backend.close()
    await server.close()
