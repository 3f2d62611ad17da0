"""A client's connection that takes predictions straight to their door.

aiohttp parses what arrives, as ever. A request for the door whose body has come whole, the usual
case, is answered without the task, request and response that aiohttp makes for each, which together
cost more than all the gateway does. Whatever is unusual in any way goes aiohttp's way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import StreamReader, web
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11, RawRequestMessage


class Arrival:
    """A request that has come whole; what doors ask of :class:`web.BaseRequest`, and no more.

    ``raw_path`` includes the query. The door answers with :meth:`respond`, once; ``on_leave``,
    where the door sets it, is called if the client goes away before that.
    """

    __slots__ = ("_connection", "body", "headers", "on_leave", "raw_path")

    method = "POST"

    def __init__(
        self, connection: Connection, raw_path: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        self._connection = connection
        self.raw_path = raw_path
        self.headers = headers
        self.body = body
        self.on_leave: Any = None

    @property
    def path(self) -> str:
        """Without the query."""
        return self.raw_path.partition("?")[0]

    @property
    def remote(self) -> str | None:
        """The client's address."""
        peer = self._connection.peername
        return str(peer[0]) if isinstance(peer, tuple) else peer

    def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Write the response; header values must be free of line breaks."""
        self._connection.respond(status, headers, body)


class Door(Protocol):
    """Answers what arrives whole."""

    def wants(self, raw_path: str) -> bool:
        """Whether a POST to this path and query may be taken; asked for every request."""
        ...

    def take(self, arrival: Arrival) -> bool:
        """Take the request, to be answered now or later; False leaves it to the application."""
        ...


class Connection(web.RequestHandler):
    """aiohttp's protocol for one client, with a door of its own.

    One request of a connection is worked on at a time. While the door has one, those behind it
    wait in aiohttp's queue, and aiohttp's task, which would take them up, is not woken.
    """

    __slots__ = ("_arrival", "_door", "_turning")

    def __init__(self, door: Door, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._door = door
        self._arrival: Arrival | None = None
        self._turning = False

    def data_received(self, data: bytes) -> None:
        """Called by the event loop with what it has read."""
        idle = self._waiter
        if idle is None or idle.done():
            super().data_received(data)  # aiohttp's task is at work, and looks for more itself
            return
        self._waiter = None  # so that it is not woken before the door has seen what came
        super().data_received(data)
        self._waiter = idle
        if not self._turning:  # aiohttp calls this, too, when reading goes on after a pause
            self._turn()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the event loop when the client has gone."""
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            self._finish()
            if arrival.on_leave is not None:
                arrival.on_leave()
        super().connection_lost(exc)

    def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Write the response to the request the door has taken; then the next has its turn."""
        if self._arrival is None or self.transport is None:
            return  # the client has gone
        self._arrival.on_leave = None  # a cycle, which the garbage collector would have to find
        self._arrival = None
        self._finish()
        self.transport.write(_head(status, headers, len(body)) + body)
        if self._close:
            self.transport.close()
        elif self._messages and not self._turning:
            self._turn()

    def _turn(self) -> None:
        """Let the door, or else aiohttp, take the oldest requests that wait."""
        self._turning = True
        try:
            while self._arrival is None and self._messages:
                if not self._take():
                    if self._waiter is not None and not self._waiter.done():
                        self._waiter.set_result(None)
                    return
        finally:
            self._turning = False

    def _take(self) -> bool:
        message, payload = self._messages[0]
        transport = self.transport
        if (
            not isinstance(message, RawRequestMessage)  # it could not be parsed
            or message.method != "POST"
            or not self._door.wants(message.path)
            or not payload.is_eof()
            or message.version != HttpVersion11
            or message.should_close
            or message.compression
            or message.upgrade
            or transport is None
            or transport.get_write_buffer_size()  # the client has not yet read the last answer
        ):
            return False
        self._messages.popleft()
        body = payload.read_nowait()
        arrival = self._arrival = Arrival(self, message.path, message.headers, body)
        self._request_in_progress = True  # a shutdown waits for it
        if not self._door.take(arrival):
            self._arrival = None
            self._request_in_progress = False
            unread = StreamReader(self, self._read_bufsize, loop=self._loop)
            unread.feed_data(body)
            unread.feed_eof()
            self._messages.appendleft((message, unread))
            return False
        # What aiohttp's task does for a request that it takes from its queue.
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        if self._manager is not None:
            self._manager.requests_count += 1
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        return True

    def _finish(self) -> None:
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)


class Runner(web.AppRunner):
    """Runs an application behind connections with a door of their own."""

    __slots__ = ("_door",)

    def __init__(self, app: web.Application, door: Door) -> None:
        super().__init__(app, access_log=None)
        self._door = door

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(
            self._door,
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            **server._kwargs,
        )


class _Server(web.Server):
    """Makes a connection for each client."""

    def __init__(self, door: Door, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._door = door

    def __call__(self) -> Connection:
        return Connection(self._door, self, loop=self._loop, **self._kwargs)


_REASONS = {status.value: status.phrase for status in HTTPStatus}
_date = (0, "")


def _head(status: int, headers: Mapping[str, str], length: int) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n{lines}Content-Length: {length}\r\n"
        f"Date: {http_date()}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n"
    ).encode("latin-1")


def http_date() -> str:
    """The ``Date`` header's value, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]
