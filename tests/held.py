"""A backend whose answers a test holds back until it has seen what it waits for."""

from __future__ import annotations

import asyncio

from gateway.backends import MemoryBackend
from gateway.backends.base import Call, Target
from gateway.backends.memory import Predictor
from gateway.models.rows import Outputs, Rows


class HeldBackend(MemoryBackend):
    """Answers only while ``let_go`` is set, as it is from the start; each call is noted at once."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor)
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        outputs = await super().predict(target, rows, call)
        await self.let_go.wait()
        return outputs
