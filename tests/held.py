"""Backends that answer when a test says so, not after a time that a busy machine may overrun."""

from __future__ import annotations

import asyncio

from gateway.backends import Call, MemoryBackend, Target
from gateway.backends.memory import Predictor
from gateway.models.rows import Outputs, Rows


def held(backend: MemoryBackend) -> asyncio.Event:
    """An event that the backend's answers and errors wait for; each call is noted at once."""
    let_go = asyncio.Event()
    answer = backend.predict

    async def predict(target: Target, rows: Rows, call: Call) -> Outputs:
        try:
            return await answer(target, rows, call)
        finally:
            await let_go.wait()

    backend.predict = predict  # type: ignore[method-assign]
    return let_go


class HeldBackend(MemoryBackend):
    """Answers only while ``let_go`` is set, as it is from the start."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor)
        self.let_go = held(self)
        self.let_go.set()


async def turns() -> None:
    """Let the event loop do what is due, and what follows from it."""
    for _ in range(20):
        await asyncio.sleep(0)
