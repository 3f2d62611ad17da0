"""Real servers for one test: gateways, TorchServe, and the policy the gateways follow."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import yaml

from serving.launch import Gateway, Server, TorchServe
from serving.launch.process import Command
from serving.launch.torchserve import TorchServePorts
from tests.chaos.load import pinned
from tests.chaos.models import payloads

#: Bodies of the weight-change model.
BODIES = [json.dumps(payload) for payload in payloads(20)]
_READY_S = 90


class Front(Gateway):
    """A gateway with settings of the test's own, given as ``GATEWAY_<NAME>``.

    Ready once ONNX Runtime answers; the other backends may come and go.
    """

    def __init__(
        self, run_dir: Path, repository: Path, servers: Sequence[Server], **settings: object
    ) -> None:
        super().__init__(run_dir, repository, servers, port=0)
        self._given = {"required_backends": "onnx"} | settings

    async def prepare(self) -> Command:
        command = await super().prepare()
        given = {f"GATEWAY_{name.upper()}": str(value) for name, value in self._given.items()}
        return dataclasses.replace(command, environment={**command.environment, **given})

    def rss_mb(self) -> float:
        """Resident memory of the process in MB (10⁶ bytes)."""
        return float(psutil.Process(self.pid).memory_info().rss / 1e6)


class Stage:
    """Starts servers, and ends all of them in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self.policy_path = folder / "routing.yaml"
        self._servers: list[Server] = []

    async def start(self, server: Server, core: int | None = None) -> None:
        """Start a server, again if it has ended, and wait until it is ready."""
        if server not in self._servers:
            self._servers.append(server)
        with pinned(core):
            await server.start()
        await server.wait_ready(_READY_S)

    async def front(
        self, servers: Sequence[Server] = (), core: int | None = None, **settings: object
    ) -> Front:
        """A gateway that is ready, in front of ``servers``."""
        settings = {"reload_interval_s": 0.2} | settings
        if self.policy_path.is_file():
            settings |= {"routing_policy": self.policy_path}
        run_dir = self.folder / f"front-{len(self._servers)}"
        front = Front(run_dir, self.repository, servers, **settings)
        await self.start(front, core)
        return front

    async def torchserve(self) -> TorchServe:
        """The real TorchServe on free ports, ready."""
        server = TorchServe(self.folder / "run", self.repository, TorchServePorts(0, 0, 0, 0, 0))
        await self.start(server)
        return server

    def write_policy(self, policy: Mapping[str, Any], model: str = "weight-change") -> float:
        """Replace the policy's file by one for this model, in one step.

        Returns when, as a :func:`time.monotonic` time.
        """
        new = self.policy_path.with_suffix(".new")
        new.write_text(yaml.safe_dump({"models": {model: policy}}))
        new.replace(self.policy_path)
        return time.monotonic()

    async def end(self) -> None:
        """Stop all, gateways first."""
        for server in sorted(self._servers, key=lambda one: not isinstance(one, Front)):
            if server.running and server.pid is not None:
                os.killpg(server.pid, signal.SIGCONT)
            await server.stop()


async def get(url: str) -> Any:
    """The JSON of a GET on a connection of its own, whatever its status."""
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        return await reply.json(content_type=None)


async def predict(url: str, body: str, **query: str) -> tuple[int, Any]:
    """Status and JSON of one prediction, on a connection of its own."""
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/v1/predict", data=body, params=query) as reply,
    ):
        return reply.status, await reply.json(content_type=None)


async def eventually(condition: Callable[[], Awaitable[Any]], within: float, what: str) -> float:
    """Wait until the condition holds; returns the seconds that took. Fails saying ``what`` not."""
    started = time.monotonic()
    while True:
        found = await condition()
        taken = time.monotonic() - started
        if found:
            return taken
        assert taken < within, f"not within {within} s: {what}"
        await asyncio.sleep(0.05)
