"""Calls of the gateway's adapters one after the other, in this process."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from gateway.backends.base import Backend, Call, Target
from gateway.models.rows import Array, Rows
from loadtests.bench.errors import BenchError
from loadtests.bench.probe import percentile
from loadtests.bench.samples import Sample

_DEADLINE_S = 60
_FEWEST = 3


@dataclass(frozen=True, eq=False)
class Asked:
    """What a call holds, and the values that ``output`` must have, within ``tolerance``."""

    title: str
    target: Target
    rows: Rows
    output: str
    expected: Array
    tolerance: float


async def require_answer(adapter: Backend, asked: Asked) -> None:
    """Raise :class:`BenchError` unless the answer is right, GatewayError where there is none."""
    outputs = await adapter.predict(asked.target, asked.rows, Call.within(_DEADLINE_S))
    found = np.asarray(outputs[asked.output], np.float64).reshape(asked.expected.shape)
    if not np.allclose(found, asked.expected, rtol=0, atol=asked.tolerance):
        raise BenchError(f"wrong answer to {asked.title}")


async def call_for(adapter: Backend, asked: Asked, seconds: float) -> Sample:
    """One call at a time for so many seconds, a few at least; raises GatewayError."""
    latencies: list[float] = []
    started, used = time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - started) < seconds or len(latencies) < _FEWEST:
        began = time.perf_counter()
        await adapter.predict(asked.target, asked.rows, Call.within(_DEADLINE_S))
        latencies.append(1000 * (time.perf_counter() - began))
    return Sample(
        seconds=elapsed,
        requests=len(latencies),
        errors=0,
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        max_ms=max(latencies),
        rows=asked.rows.count,
        cpu_ms=1000 * (time.process_time() - used) / len(latencies),
    )
