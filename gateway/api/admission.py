"""Lets clients in while there is room, and ends connections that only take it up."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from gateway.api.connection import Connection, Door
from gateway.api.drain import Drain
from gateway.api.wire import closing
from gateway.config import Settings
from gateway.errors import RequestTimeout, TooManyConnections
from gateway.files import clients_within_limit

#: An answer must be read within so many times what a request has to be sent.
_UNREAD_TIMES = 3
#: How often all connections are looked at, and how many before others have a turn.
_PERIOD_S, _SLICE = 1.0, 500
#: How long the connections found idle are used, and how soon, per connection there is, all are
#: looked at again where those are used up: about ten times as long as a look takes.
_LOOK_S, _LOOK_AGAIN_S = 1.0, 1e-5
#: How long the head of a request may take before its connection counts as idle if there is no room.
_HEAD_S = 1.0
#: How long a client that is refused has to read the answer, and how many get that at once.
_REFUSAL_S, _MAX_REFUSALS = 1.0, 100


def count_ended(registry: CollectorRegistry) -> Counter:
    """The metric of the connections the gateway ended, and of those it refused."""
    return Counter(
        "gateway_connections_ended",
        "Connections ended by the gateway: a request came too slowly, none came (idle), an answer "
        "was left unread, an idle one made room for another; or refused because all were taken.",
        ["reason"],
        registry=registry,
    )


class Server(web.Server):
    """Makes a connection for each client, and keeps them in bounds; see :class:`Settings`."""

    def __init__(
        self,
        door: Door,
        drain: Drain,
        settings: Settings,
        ended: Counter,
        *args: Any,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._door = door
        self._drain = drain
        self._read_s = settings.read_timeout_s
        self._idle_s = settings.idle_timeout_s
        self._most = clients_within_limit(settings.max_client_connections)
        self._ended = ended
        #: Connections found idle, the one to be closed first at the end, and when that was.
        self._idle: list[Connection] = []
        self._looked_at = float("-inf")

    def __call__(self) -> Connection | _Refusal:  # type: ignore[override]  # the loop takes any protocol
        """The protocol for a client that has just connected."""
        if len(self._connections) >= self._most and not self._make_room():
            self._ended.labels("refused").inc()
            return _Refusal(TooManyConnections(self._most))
        return Connection(self._door, self._drain, self, loop=self._loop, **self._kwargs)

    async def sweep(self) -> None:
        """End what takes too long, as long as the server runs.

        One look at everyone now and then costs less than a timer for each request. So times are
        kept to within the time between two looks.
        """
        period = min(_PERIOD_S, self._read_s / 4, self._idle_s / 4)
        while True:
            await asyncio.sleep(period)
            for index, (connection, transport) in enumerate(list(self._connections.items())):
                self._look_at(_connection(connection), transport)
                if index % _SLICE == _SLICE - 1:
                    await asyncio.sleep(0)

    async def finish(self, timeout_s: float) -> None:
        """Close each connection as soon as it is idle; return when all are, or the time is over."""
        deadline = self._loop.time() + timeout_s
        while True:
            await asyncio.sleep(0.02)  # what came before the listening ended is taken up first
            connections = [_connection(one) for one in self.connections]
            busy = [one for one in connections if one.busy]
            for one in connections:
                if not one.busy:
                    one.force_close()
            if not busy or self._loop.time() >= deadline:
                return

    def _look_at(self, connection: Connection, transport: asyncio.Transport) -> None:
        now = self._loop.time()
        if not transport.get_write_buffer_size():
            connection.unread = None
        elif connection.unread is None or connection.unread[1] != connection.taken:
            connection.unread = now, connection.taken
        elif now - connection.unread[0] > _UNREAD_TIMES * self._read_s:
            transport.abort()
            self._ended.labels("unread").inc()
            return
        if transport.is_closing():
            return
        if connection.coming_s(now) > self._read_s:
            connection.give_up(RequestTimeout(self._read_s))
            self._ended.labels("slow").inc()
        elif connection.idle_s(now) > self._idle_s:
            connection.force_close()
            self._ended.labels("idle").inc()

    def _make_room(self) -> bool:
        """Close a connection that is idle, if there is one."""
        now = self._loop.time()
        again_s = _LOOK_S if self._idle else len(self._connections) * _LOOK_AGAIN_S
        if now - self._looked_at > again_s:
            self._looked_at = now
            # Those that never sent a request go first: the idle ones of a client's pool have.
            self._idle = sorted(
                (one for one in map(_connection, self._connections) if _spare_s(one, now)),
                key=lambda one: (one.taken == 0, _spare_s(one, now)),
            )
        while self._idle:
            connection = self._idle.pop()
            if _spare_s(connection, now):
                connection.force_close()
                self._ended.labels("made room").inc()
                return True
        return False


def _spare_s(connection: Connection, now: float) -> float:
    """Seconds for which a connection could have been done without; 0 where it could not."""
    if connection.busy:
        return 0.0
    coming = connection.coming_s(now)
    if coming:
        return coming if coming > _HEAD_S else 0.0
    return connection.idle_s(now)


def _connection(handler: web.RequestHandler) -> Connection:
    return cast("Connection", handler)  # the server makes no others


class _Refusal(asyncio.Protocol):
    """Tells a client that there is no room, and leaves."""

    _waiting = 0

    def __init__(self, error: TooManyConnections) -> None:
        self._answer = closing(error)

    def connection_made(self, made: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        transport = cast("asyncio.Transport", made)
        _Refusal._waiting += 1
        transport.write(self._answer)
        if transport.can_write_eof() and _Refusal._waiting <= _MAX_REFUSALS:
            # Were it closed before the request that comes now is read, the client would get a
            # reset, and perhaps not the answer.
            transport.write_eof()
            asyncio.get_running_loop().call_later(_REFUSAL_S, transport.abort)
        else:
            transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the event loop."""
        _Refusal._waiting -= 1
