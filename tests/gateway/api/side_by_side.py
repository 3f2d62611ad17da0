"""A gateway with an engine and two servers behind it, for tests of comparisons."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gateway.backends import MemoryBackend, OnnxBackend
from gateway.backends.base import Call, Health, Target
from gateway.models.rows import Outputs, Rows
from tests.conftest import MIXED, Client, MakeClient, write_model
from tests.gateway.test_telemetry import Samples, samples

GOOD: dict[str, Any] = {"count": 2, "size": 0.5, "big": True, "name": "b"}
ONNX = {"pytorch": {"artifact": "mixed.onnx"}, "tensorflow": {"artifact": "mixed.onnx"}}
#: A server for each lineage, beside the engine that has both.
MANIFEST: dict[str, Any] = MIXED | {
    "parity": {"absolute": 0.01},
    "backends": {
        "onnx": {"lineages": ONNX},
        "torchserve": {"lineages": {"pytorch": {}}},
        "tfserving": {"lineages": {"tensorflow": {}}},
    },
}
TARGETS = ["onnx/pytorch", "onnx/tensorflow", "torchserve/pytorch", "tfserving/tensorflow"]


def off_by(distance: float) -> Callable[[Rows], Outputs]:
    """What the graph answers, and so much more; row by row more of it."""

    def answer(rows: Rows) -> Outputs:
        columns: dict[str, Any] = rows.columns
        total = columns["count"] + columns["size"] + 100.0 * columns["big"]
        total += distance * np.arange(1, rows.count + 1)
        return {"total": total, "named": columns["name"]}

    return answer


class Server(MemoryBackend):
    """A server elsewhere, as far as anybody can tell.

    It answers once ``gate`` lets it, where there is one. ``has`` is the only version it has, None
    for all. Keeps the request ids and the deadlines, in seconds, of its calls.
    """

    url = "http://elsewhere:8080"
    reachable = True
    stand_in: str | None = None
    has: str | None = None
    gate: asyncio.Barrier | None = None

    def __init__(self, name: str) -> None:
        super().__init__(off_by(0.0), name)
        self.ids: list[str | None] = []
        self.deadlines: list[float] = []

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        self.ids.append(call.headers.get("X-Request-Id"))
        self.deadlines.append(call.remaining)
        if self.gate is not None:
            await self.gate.wait()
        return await super().predict(target, rows, call)

    async def check(self, target: Target, call: Call) -> Health:
        if not self.reachable:
            return Health(False, "no connection")
        return Health(self.has in (None, target.model.version), "", self.stand_in)

    def forget(self) -> None:
        """Forget the calls so far."""
        for kept in (self.calls, self.ids, self.deadlines):
            kept.clear()


class Stage:
    """The gateway, and the servers behind it."""

    client: Client

    def __init__(self) -> None:
        self.torchserve = Server("torchserve")
        self.tfserving = Server("tfserving")

    async def open(self, make_client: MakeClient, folder: Path, **settings: Any) -> None:
        """Serve the mixed model from a folder."""
        write_model(folder / "mixed", MANIFEST)
        servers = self.torchserve, self.tfserving
        backends = {"onnx": OnnxBackend(1)} | {server.name: server for server in servers}
        self.client = await make_client(folder, backends, required_backends="", **settings)
        for server in servers:
            server.forget()

    async def post(
        self, query: str = "", body: Any = GOOD, door: str = "compare", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and content of an answer."""
        async with self.client.post(f"/v1/{door}{query}", json=body, headers=headers) as answer:
            content = await answer.json(content_type=None)
            assert answer.headers["X-Request-Id"] == content["request_id"]
            return answer.status, content

    async def compare(self, query: str = "", body: Any = GOOD, **headers: str) -> dict[str, Any]:
        """The content of a good answer."""
        status, content = await self.post(query, body, **headers)
        assert status == 200, content
        return content

    async def metrics(self) -> Samples:
        """What has been counted."""
        async with self.client.get("/metrics") as answer:
            return samples(await answer.read())


def names(content: dict[str, Any]) -> list[str]:
    """The targets of a comparison, in order."""
    return [f"{result['backend']}/{result['lineage']}" for result in content["results"]]
