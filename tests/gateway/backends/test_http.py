"""What remote adapters make of servers that misbehave, judged by small misbehaving servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from gateway.backends import Call, Target, TFServingBackend, TorchServeBackend
from gateway.backends.http import HTTPBackend
from gateway.errors import BackendError, BackendTimeout, BackendUnavailable, ConfigError
from gateway.models.manifest import Manifest
from gateway.models.repository import Repository
from gateway.models.rows import Rows
from tests.conftest import MIXED

MANIFEST = msgspec.convert(MIXED | {"outputs": [{"name": "total"}]}, Manifest)
Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Reply], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that answers everything with one function; gives its address."""
    servers: list[TestServer] = []

    async def start(reply: Reply) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", reply)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        return str(server.make_url("/"))

    yield start
    for server in servers:
        await server.close()


def tfserving(url: str) -> TFServingBackend:
    return TFServingBackend(url)


def torchserve(url: str) -> TorchServeBackend:
    return TorchServeBackend(url, url)


def target(backend: HTTPBackend, tmp_path: Path, **options: Any) -> Target:
    model = Repository().add(MANIFEST, "3", tmp_path)
    return Target(backend.name, model, "pytorch", {"model": "mixed"} | options)


def rows(count: int = 1) -> Rows:
    columns: dict[str, Any] = {
        "count": np.arange(count),
        "size": np.full(count, 0.5),
        "big": np.full(count, True),
        "name": np.array(["a"] * count, dtype=object),
    }
    return Rows(columns, count)


Make = Callable[[str], HTTPBackend]
both = pytest.mark.parametrize("make", [tfserving, torchserve])


async def test_gaps_reach_tensorflow_serving_as_it_reads_them(serve: Serve, tmp_path: Path) -> None:
    async def reply(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.text())
        return web.json_response({"outputs": [1.0, 2.0]})

    bodies: list[str] = []
    backend = tfserving(await serve(reply))
    asked = target(backend, tmp_path)
    await backend.load(asked)
    columns = dict(rows(2).columns)
    columns["size"] = np.array([np.nan, np.inf])
    await backend.predict(asked, Rows(columns, 2), Call.within(5))
    assert '"size": [NaN, Infinity]' in bodies[0]  # null it refuses
    await backend.close()


async def outcome(
    make: Make, url: str, tmp_path: Path, seconds: float = 2.0, count: int = 1
) -> list[Any]:
    backend = make(url)
    try:
        where = target(backend, tmp_path)
        await backend.load(where)
        outputs = await backend.predict(
            where, rows(count), Call.within(seconds, {"X-Request-Id": "7"})
        )
        return outputs["total"].tolist()  # type: ignore[no-any-return]
    finally:
        await backend.close()


async def test_tfserving_speaks_the_documented_column_form(serve: Serve, tmp_path: Path) -> None:
    seen: list[Any] = []

    async def reply(request: web.Request) -> web.Response:
        seen.append(
            (request.method, request.path, request.headers["X-Request-Id"], await request.json())
        )
        return web.json_response({"outputs": [[1.5], [2.5]]})

    assert await outcome(tfserving, await serve(reply), tmp_path, count=2) == [1.5, 2.5]
    inputs = {"count": [0, 1], "size": [0.5, 0.5], "big": [True, True], "name": ["a", "a"]}
    body = {"signature_name": "serving_default", "inputs": inputs}
    assert seen == [("POST", "/v1/models/mixed/versions/3:predict", "7", body)]


async def test_torchserve_gets_a_list_of_payloads(serve: Serve, tmp_path: Path) -> None:
    seen: list[Any] = []

    async def reply(request: web.Request) -> web.Response:
        seen.append(
            (request.method, request.path, request.headers["X-Request-Id"], await request.json())
        )
        return web.json_response([{"total": 1.5}])

    assert await outcome(torchserve, await serve(reply), tmp_path) == [1.5]
    payload = {"count": 0, "size": 0.5, "big": True, "name": "a"}
    assert seen == [("POST", "/predictions/mixed/3", "7", [payload])]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"outputs": [NaN]}', "[nan]"),
        (b'{"outputs": [-Infinity]}', "[-inf]"),
        (b'{"outputs": {"total": [[2]], "other": [[3]]}}', "[2]"),
        (b'{"outputs": [{"b64": "aGk="}]}', "['hi']"),
    ],
)
async def test_tfserving_replies_that_can_be_read(
    serve: Serve, tmp_path: Path, body: bytes, expected: str
) -> None:
    async def reply(_: web.Request) -> web.Response:
        return web.Response(body=body)

    assert str(await outcome(tfserving, await serve(reply), tmp_path)) == expected


@both
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b"null", b'{"outputs": 3}', b'{"outputs": [1, 2]}',
     b'{"outputs": {"a": [1], "b": [2]}}', b'{"outputs": [[1], [1, 2]]}', b'{"error": "no"}',
     b'{"outputs": [{"b65": ""}]}', b'[{"total": 1}, {"total": 2}]', b'[{"total": 1}, {}]',
     b'[{"a": 1, "b": 2}]', b"[1]", b'{"code": 400}'],
)  # fmt: skip
async def test_replies_that_are_no_predictions(
    serve: Serve, tmp_path: Path, make: Make, body: bytes
) -> None:
    async def reply(_: web.Request) -> web.Response:
        return web.Response(body=body)

    with pytest.raises(BackendError) as caught:
        await outcome(make, await serve(reply), tmp_path)
    assert caught.value.status == 502


@both
@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        (400, 502),
        (404, 502),
        (408, 504),
        (429, 503),
        (500, 502),
        (503, 503),
        (504, 504),
        (507, 502),
        (302, 502),
    ],
)
async def test_error_statuses_carry_the_servers_words(
    serve: Serve, tmp_path: Path, make: Make, status: int, becomes: int
) -> None:
    async def reply(_: web.Request) -> web.Response:
        words = {"error": "the reason", "code": status, "type": "T", "message": "the reason"}
        return web.json_response(words, status=status, headers={"Location": "/elsewhere"})

    with pytest.raises(BackendError, match="the reason") as caught:
        await outcome(make, await serve(reply), tmp_path)
    assert caught.value.status == becomes


@both
async def test_nobody_listens(tmp_path: Path, make: Make) -> None:
    with pytest.raises(BackendUnavailable, match="no connection"):
        await outcome(make, f"http://127.0.0.1:{unused_port()}", tmp_path)


@both
async def test_a_server_that_hangs_costs_the_deadline(
    serve: Serve, tmp_path: Path, make: Make
) -> None:
    async def reply(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    url = await serve(reply)
    started = time.monotonic()
    with pytest.raises(BackendTimeout):
        await outcome(make, url, tmp_path, seconds=0.2)
    assert time.monotonic() - started < 4


async def raw_server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> tuple[asyncio.Server, str]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@both
async def test_a_reply_that_breaks_off(tmp_path: Path, make: Make) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    server, url = await raw_server(handle)
    async with server:
        with pytest.raises(BackendError):
            await outcome(make, url, tmp_path)


async def test_a_stale_connection_never_shows(tmp_path: Path) -> None:
    """The server closes each kept-alive connection after one reply without having said so."""
    body = b'{"outputs": [[4.5]]}'
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        await reader.read(65536)  # the next request arrives, and then:
        await reader.read(1)
        writer.close()

    server, url = await raw_server(handle)
    backend = tfserving(url)
    where = target(backend, tmp_path)
    await backend.load(where)
    async with server:
        for _ in range(3):
            outputs = await backend.predict(where, rows(), Call.within(2))
            assert outputs["total"].tolist() == [4.5]
    await backend.close()
    assert connections == 3


@pytest.mark.parametrize(
    ("make", "status", "content", "word"),
    [
        (tfserving, 200, {"model_version_status": [{"state": "LOADING"}]}, "LOADING"),
        (tfserving, 404, {"error": "no such servable"}, "no such servable"),
        (tfserving, 200, {}, "model_version_status"),
        (torchserve, 200, [{"workers": [{"status": "LOADING"}]}], "LOADING"),
        (torchserve, 404, {"code": 404, "message": "no such model"}, "no such model"),
        (torchserve, 200, {}, "workers"),
    ],
)
async def test_health_says_why_and_who(
    serve: Serve, tmp_path: Path, make: Make, status: int, content: Any, word: str
) -> None:
    async def reply(_: web.Request) -> web.Response:
        return web.json_response(content, status=status, headers={"X-Stand-In": "something"})

    backend = make(await serve(reply))
    where = target(backend, tmp_path)
    await backend.load(where)
    health = await backend.check(where, Call.within(1))
    await backend.close()
    assert not health.ready
    assert word in health.detail
    assert health.stand_in == "something"


@both
def test_urls_are_checked_and_masked(make: Make) -> None:
    assert make("http://user:secret@host:1/base/").url == "http://host:1/base"
    assert "secret" not in repr(make("http://user:secret@host:1"))
    with pytest.raises(ConfigError):
        make("host:1")


async def test_a_past_deadline_sends_nothing(tmp_path: Path) -> None:
    with pytest.raises(BackendTimeout):
        await outcome(tfserving, "http://127.0.0.1:9", tmp_path, seconds=-1)
