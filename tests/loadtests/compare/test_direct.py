"""What is recorded of an adapter is what its server can be asked with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from loadtests import payloads
from loadtests.compare.direct import direct, record
from loadtests.compare.results import Subject
from loadtests.compare.stage import find_model
from tests.conftest import REPOSITORY
from tests.loadtests.compare.factories import DIRECT, ONNX, TORCHSERVE

VERSION = find_model(REPOSITORY, None)


def test_only_a_server_with_http_is_asked_directly() -> None:
    assert direct(TORCHSERVE) == DIRECT
    assert direct(ONNX) is None
    assert direct(msgspec.structs.replace(TORCHSERVE, server="grpc://127.0.0.1:8500")) is None
    # The load generator speaks no TLS.
    assert direct(msgspec.structs.replace(TORCHSERVE, server="https://127.0.0.1:8500")) is None


class Heard(msgspec.Struct):
    """One request as a real server understood it."""

    method: str
    host: str
    path: str
    body: Any


@asynccontextmanager
async def listening(heard: list[Heard]) -> AsyncIterator[str]:
    """The address, ``host:port``, of a server that notes what it is asked."""

    async def note(request: web.Request) -> web.Response:
        heard.append(Heard(request.method, request.host, request.raw_path, await request.json()))
        return web.json_response({})

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def send(where: str, requests: list[bytes]) -> None:
    """Send them one after the other over one connection; each must be answered with 200."""
    host, _, port = where.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for request in requests:
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(len(b"{}"))
    writer.close()


def subject(backend: str, lineage: str, server: str) -> Subject:
    return Subject(
        name=f"{backend}/{lineage} direct",
        backend=backend,
        lineage=lineage,
        direct=True,
        server=server,
    )


BODIES = [payloads.generated(VERSION.manifest, rows, seed=rows) for rows in (1, 3, 128)]


@pytest.mark.parametrize("base", ["", "/behind/a/proxy"])
async def test_torchserve_is_asked_with_the_rows(base: str) -> None:
    heard: list[Heard] = []
    async with listening(heard) as where:
        asked = subject("torchserve", "pytorch", f"http://{where}{base}")
        requests = await record(asked, VERSION, BODIES)
        assert heard == []  # the server itself has not been asked
        await send(where, requests)
    assert heard == [
        Heard("POST", where, f"{base}/predictions/weight-change/1", rows) for rows in BODIES
    ]


async def test_tensorflow_serving_is_asked_with_the_tensors() -> None:
    heard: list[Heard] = []
    async with listening(heard) as where:
        asked = subject("tfserving", "tensorflow", f"http://{where}")
        await send(where, await record(asked, VERSION, BODIES))
    assert {(one.method, one.host, one.path) for one in heard} == {
        ("POST", where, "/v1/models/weight-change/versions/1:predict")
    }
    for one, rows in zip(heard, BODIES, strict=True):
        assert one.body["signature_name"] == "serving_default"
        inputs = one.body["inputs"]
        tensor = inputs["features"] if isinstance(inputs, dict) else inputs
        assert [len(row) for row in tensor] == [17] * len(rows)
