"""Asks a URL at a steady rate and says how long the answers took."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import aiohttp

from loadtests.bench.errors import BenchError

_EVERY_S = 0.02
_TIMEOUT = aiohttp.ClientTimeout(total=10)


async def probe(url: str, seconds: float) -> list[float]:
    """Latencies in ms of a GET every 20 ms, each counted from when it was due.

    They do not wait for each other, so that a stall shows in every probe that fell into it and in
    no later one. Raises :class:`BenchError` where an answer is missing or not 200.
    """
    loop = asyncio.get_running_loop()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as session:
        started = loop.time()
        probes: list[asyncio.Task[float]] = []
        try:
            for turn in range(max(1, round(seconds / _EVERY_S))):
                due = started + turn * _EVERY_S
                await asyncio.sleep(max(0.0, due - loop.time()))
                probes.append(asyncio.create_task(_ask(session, url, due)))
            return [1000 * latency for latency in await asyncio.gather(*probes)]
        finally:
            for one in probes:
                one.cancel()


async def _ask(session: aiohttp.ClientSession, url: str, due: float) -> float:
    """Seconds from ``due`` to the end of the answer."""
    try:
        async with session.get(url) as reply:
            await reply.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise BenchError(f"{url} did not answer: {error!r}") from error
    if reply.status != 200:
        raise BenchError(f"{url} answered {reply.status}")
    return asyncio.get_running_loop().time() - due


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` of all do not exceed; raises ValueError of none."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
