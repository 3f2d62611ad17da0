from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtests.bench.errors import BenchError
from loadtests.bench.probe import percentile, probe


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)]
)
def test_percentile(percent: float, expected: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 99)


async def test_a_stall_shows_in_every_probe_that_fell_into_it() -> None:
    asked, stall = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        asked.set()
        await stall.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/healthz", answer)
    async with TestServer(app) as server:
        begun = time.monotonic()
        asking = asyncio.create_task(probe(str(server.make_url("/healthz")), 1.0))
        await asked.wait()
        await asyncio.sleep(0.3)
        stall.set()
        latencies = await asking
        took_ms = 1000 * (time.monotonic() - begun)
    assert len(latencies) == 50
    assert 290 < max(latencies) < took_ms
    assert sum(latency > 50 for latency in latencies) >= 8
    # The machine may have stalls of its own, but not as long as this.
    assert percentile(latencies[20:], 10) < 50


async def test_an_answer_that_is_not_200() -> None:
    async with TestServer(web.Application()) as server:
        with pytest.raises(BenchError, match="answered 404"):
            await probe(str(server.make_url("/healthz")), 0.04)
