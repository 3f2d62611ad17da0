"""Several servers as one: started together, restarted when one dies, stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from serving.launch.errors import LaunchError
from serving.launch.process import Server, ServerInfo

_FIRST_DELAY_S = 1.0
_MAX_DELAY_S = 30.0
#: A server that ran this long before it died is restarted after the first delay again.
_STEADY_S = 60.0


class Supervisor:
    """Runs ``servers``; they are stopped in the order given, each group at once.

    ``groups`` is that order: the gateway's group before the servers it forwards to. ``on_change``
    is called whenever a state may have changed, ``ready_s`` limits each start.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Server]],
        *,
        ready_s: float = 120,
        on_change: Callable[[], None] = lambda: None,
        first_delay_s: float = _FIRST_DELAY_S,
    ) -> None:
        self._groups = groups
        self._ready_s = ready_s
        self.on_change = on_change
        self._first_delay_s = first_delay_s

    @property
    def servers(self) -> list[Server]:
        """All of them, in the order in which they are stopped."""
        return [server for group in self._groups for server in group]

    def describe(self) -> list[ServerInfo]:
        """The state of each at this moment."""
        return [server.describe() for server in self.servers]

    async def start(self) -> None:
        """Start all at once and wait until each is ready; the first :class:`LaunchError` ends it.

        Those already started run on then, until :meth:`stop`.
        """
        tasks = [asyncio.create_task(self._start(server)) for server in self.servers]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.on_change()

    async def _start(self, server: Server) -> None:
        await server.start()
        self.on_change()
        await server.wait_ready(self._ready_s)
        self.on_change()

    async def watch(self) -> None:
        """Restart whatever dies, until cancelled. All must have been started."""
        await asyncio.gather(*(self._keep_running(server) for server in self.servers))

    async def _keep_running(self, server: Server) -> None:
        loop = asyncio.get_running_loop()
        delay = self._first_delay_s
        while True:
            since = loop.time()
            await server.wait_ended()
            await self._clean_up(server, server.ending())
            if loop.time() - since >= _STEADY_S:
                delay = self._first_delay_s
            while True:
                await asyncio.sleep(delay)
                delay = min(delay * 2, _MAX_DELAY_S)
                server.restarts += 1
                try:
                    await self._start(server)
                except LaunchError as error:
                    await self._clean_up(server, error.message)
                else:
                    break

    async def _clean_up(self, server: Server, problem: str) -> None:
        """End what the server, dead or not ready in time, may have left behind."""
        server.state, server.problem = "died", problem
        self.on_change()
        await server.stop()

    async def stop(self) -> None:
        """Stop group after group. Nothing they have started is left when it returns."""
        for group in self._groups:
            for server in group:
                if server.running:
                    server.state = "stopping"
            self.on_change()
            await asyncio.gather(*(server.stop() for server in group))
            self.on_change()

    def kill(self) -> None:
        """SIGKILL to everything, at once."""
        for server in self.servers:
            server.kill()
