"""Who answers wrongly is not measured."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence

import aiohttp

from loadtests.bench.endpoint import Endpoint
from loadtests.bench.errors import BenchError
from loadtests.bench.workload import Workload

_TIMEOUT = aiohttp.ClientTimeout(total=60)
_HEADERS = {"Content-Type": "application/json"}


async def require_parity(
    endpoint: Endpoint, workload: Workload, expected: Sequence[float], tolerance: float
) -> None:
    """Send every body of the workload at once; raise :class:`BenchError` at a wrong answer.

    ``expected`` are the predictions of all rows in order, ``tolerance`` how far one may be off,
    absolutely or as a part of it. All at once, so that a server that batches and gives rows back to
    the wrong requests is found out.
    """
    connector = aiohttp.TCPConnector(limit=workload.connections)
    async with aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as session:
        try:
            answers = await asyncio.gather(
                *(_ask(session, endpoint, body) for body in workload.encoded(endpoint))
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BenchError(f"it did not answer: {error!r}") from error
    got = [value for answer in answers for value in answer]
    if len(got) != len(expected):
        raise BenchError(f"it answered {len(got)} predictions to {len(expected)} rows")
    for index, (one, other) in enumerate(zip(got, expected, strict=True)):
        if not math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance):
            raise BenchError(f"wrong answer to row {index}: {one}, session.run says {other}")


async def _ask(session: aiohttp.ClientSession, endpoint: Endpoint, body: bytes) -> Sequence[float]:
    async with session.post(endpoint.url, data=body, headers=_HEADERS) as reply:
        content = await reply.read()
        if reply.status != 200:
            words = content[:300].decode(errors="replace")
            raise BenchError(f"it answered {reply.status}: {words}")
        try:
            return endpoint.decode(json.loads(content))
        except (LookupError, TypeError, ValueError) as error:
            raise BenchError(f"its answer cannot be read: {content[:300]!r}") from error
