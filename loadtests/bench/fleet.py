"""The servers of one scenario: started on their core, all stopped in the end."""

from __future__ import annotations

import asyncio
import signal
from types import TracebackType
from typing import Self

from loadtests.bench.cores import on_core, require_pinned
from loadtests.bench.endpoint import Endpoint
from loadtests.bench.errors import BenchError
from loadtests.bench.family import Process, family, send
from loadtests.bench.opponents.opponent import Opponent
from serving.launch import LaunchError, Server

_READY_S = 120


class Fleet:
    """A context manager; leaving it leaves nothing behind."""

    def __init__(self, core: int) -> None:
        self._core = core
        self._started: list[Server] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The gateway before the servers behind it.
        for server in reversed(self._started):
            processes = members(server)
            send(processes, signal.SIGCONT)
            await server.stop()
            send(processes, signal.SIGKILL)

    async def start(self, endpoint: Endpoint) -> None:
        """Start what the endpoint needs and does not run yet; raises :class:`BenchError`.

        Everything else is frozen then, see :meth:`focus`.
        """
        self.focus(endpoint)
        for server in endpoint.servers:
            if server not in self._started:
                await self._start(server)
            elif not server.running:
                raise BenchError(f"{server.name} is not running")

    async def _start(self, server: Server) -> None:
        if isinstance(server, Opponent):
            await asyncio.to_thread(server.install)
        self._started.append(server)
        try:
            with on_core(self._core):
                await server.start()
            await server.wait_ready(_READY_S)
        except LaunchError as error:
            await server.stop()
            raise BenchError(str(error)) from error
        require_pinned(members(server), self._core)

    def focus(self, endpoint: Endpoint) -> None:
        """Let the endpoint's servers run and freeze the others; raises :class:`BenchError`.

        Some poll: an idle LitServe alone takes a tenth of the core from whoever is measured.
        """
        for server in self._started:
            asked = server in endpoint.servers
            send(members(server), signal.SIGCONT if asked else signal.SIGSTOP)
            if asked:
                require_pinned(members(server), self._core)


def members(server: Server) -> list[Process]:
    """The server's processes; none when it does not run."""
    return family(server.pid) if server.running and server.pid is not None else []
