"""A backend of plain Python functions, for tests and examples of those who build on the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from gateway.backends.base import Backend, Call, Health, Target, conform
from gateway.config import Settings
from gateway.errors import BackendTimeout, GatewayError
from gateway.models.rows import Outputs, Rows

Predictor = Callable[[Rows], Outputs]


class MemoryBackend(Backend):
    """Answers with ``predictor``; can be made slow, or made to fail, while it is in use.

    ``delay`` is in seconds. ``fail`` is raised instead of an answer while it is set. ``calls``
    keeps the row count of each call.
    """

    def __init__(self, predictor: Predictor, name: str = "memory", delay: float = 0.0) -> None:
        self.name = name
        self.predictor = predictor
        self.delay = delay
        self.fail: GatewayError | None = None
        self.calls: list[int] = []

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        raise TypeError("a MemoryBackend is made with a function, not from settings")

    async def load(self, target: Target) -> None:
        return None

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        self.calls.append(rows.count)
        if self.delay >= call.remaining:
            await asyncio.sleep(max(call.remaining, 0))
            raise BackendTimeout(self.name, "it did not answer within the deadline")
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.fail is not None:
            raise self.fail
        return conform(target, self.predictor(rows), rows.count)

    async def check(self, target: Target, call: Call) -> Health:
        return Health(self.fail is None, "" if self.fail is None else self.fail.detail)
