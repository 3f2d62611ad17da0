"""Backends that answer when a test says so, not after a time that a busy machine may overrun."""

from __future__ import annotations

import asyncio

from gateway.backends import Call, MemoryBackend, Target
from gateway.backends.base import conform
from gateway.models.rows import Outputs, Rows


def gated(backend: MemoryBackend) -> asyncio.Event:
    """An event that the backend's calls wait for from now on, whatever its delay and deadlines."""
    gate = asyncio.Event()

    async def predict(target: Target, rows: Rows, call: Call) -> Outputs:
        backend.calls.append(rows.count)
        await gate.wait()
        if backend.fail is not None:
            raise backend.fail
        return conform(target, backend.predictor(rows), rows.count)

    backend.predict = predict  # type: ignore[method-assign]
    return gate


async def turns() -> None:
    """Let the event loop do what is due, and what follows from it."""
    for _ in range(20):
        await asyncio.sleep(0)
