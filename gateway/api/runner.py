"""Runs an application behind connections with a door of their own, and stops it in order."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiohttp import web
from prometheus_client import Counter

from gateway.api.admission import Server
from gateway.api.connection import Arrival, Door
from gateway.api.drain import Drain
from gateway.config import Settings

#: Connections the kernel keeps for a moment in which the loop is busy.
_BACKLOG = 1024
#: Seconds for a TLS client to agree that the connection ends.
_TLS_SHUTDOWN_S = 2.0
#: aiohttp's bound on reading what is left of a body that was refused, in seconds, and how long its
#: own shutdown waits, after :meth:`Runner.cleanup` has.
_LINGER_S, _LAST_S = 10.0, 1.0


class NoDoor:
    """Takes no request, for an application that answers all of them itself."""

    def wants(self, raw_path: str) -> bool:
        """See :class:`gateway.api.connection.Door`."""
        return False

    def take(self, arrival: Arrival) -> bool:
        """See :class:`gateway.api.connection.Door`."""
        return False


class Runner(web.AppRunner):
    """One application on one address; ``companion`` runs beside it and is stopped with it."""

    __slots__ = ("_door", "_drain", "_ended", "_settings", "_sweep", "companion")

    def __init__(
        self, app: web.Application, door: Door, drain: Drain, settings: Settings, ended: Counter
    ) -> None:
        lingering_s = min(_LINGER_S, settings.read_timeout_s)
        super().__init__(app, access_log=None, lingering_time=lingering_s, shutdown_timeout=_LAST_S)
        self._door = door
        self._drain = drain
        self._settings = settings
        self._ended = ended
        self._sweep: asyncio.Task[None] | None = None
        self.companion: Runner | None = None

    async def listen(
        self, host: str, port: int, context: ssl.SSLContext | None, shared: bool
    ) -> None:
        """Take connections at an address; ``shared`` with other processes. Raises OSError."""
        site = _Site(
            self,
            host,
            port,
            ssl_context=context,
            reuse_port=shared,
            backlog=_BACKLOG,
            handshake_s=self._settings.read_timeout_s,
        )
        await site.start()

    async def cleanup(self) -> None:
        """Stop listening, let the requests in flight finish in their time, close everything."""
        self._drain.begun = True
        if isinstance(self._server, Server):
            for site in list(self._sites):
                await site.stop()
            await self._server.finish(self._settings.shutdown_s)
        if self.companion is not None:
            await self.companion.cleanup()
        if self._sweep is not None:
            self._sweep.cancel()
        await super().cleanup()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = Server(
            self._door,
            self._drain,
            self._settings,
            self._ended,
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )
        self._sweep = asyncio.create_task(server.sweep())
        return server


class _Site(web.TCPSite):
    """aiohttp's, with bounds on how long a TLS client may take to begin and to end."""

    __slots__ = ("_handshake_s",)

    def __init__(self, *args: Any, handshake_s: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._handshake_s = handshake_s

    async def start(self) -> None:
        """Listen; raises OSError."""
        await super(web.TCPSite, self).start()
        server = self._runner.server
        assert server is not None
        secure = self._ssl_context is not None
        listening = await asyncio.get_running_loop().create_server(
            server,
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            reuse_address=self._reuse_address,
            reuse_port=self._reuse_port,
            ssl_handshake_timeout=self._handshake_s if secure else None,
            ssl_shutdown_timeout=_TLS_SHUTDOWN_S if secure else None,
        )
        self._server = listening
        self._bound_port = listening.sockets[0].getsockname()[1]
