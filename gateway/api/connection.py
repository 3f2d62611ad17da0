"""A client's connection that takes predictions straight to their door.

aiohttp parses what arrives, as ever. A request for the door whose body has come whole, the usual
case, is answered without the task, request and response that aiohttp makes for each, which together
cost more than all the gateway does. Many clients send the head and the body apart: a small body is
waited for. Whatever is unusual in any way goes aiohttp's way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard

from aiohttp import StreamReader, web
from aiohttp.http import HttpProcessingError, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from gateway.api.drain import Drain
from gateway.api.wire import closing, head, problem
from gateway.errors import GatewayError, InvalidRequest

#: Bytes of a body that is waited for; a longer one is read by aiohttp, which bounds what it keeps.
_SMALL_BODY = 64 * 1024


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

    __slots__ = ("_arrival", "_begun", "_body", "_door", "_drain", "_holds", "_turning", "unread")

    def __init__(self, door: Door, drain: Drain, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._door = door
        self._drain = drain
        self._arrival: Arrival | None = None
        self._turning = False
        #: Whether a request is kept from aiohttp until its body has come.
        self._holds = False
        #: Since when a head or body comes in, in the loop's time; 0.0 while none does.
        self._begun = 0.0
        #: The body that comes in.
        self._body: StreamReader | None = None
        #: The sweep's note of an answer that is left unread: since when, and after how many.
        self.unread: tuple[float, int] | None = None

    def data_received(self, data: bytes) -> None:
        """Called by the event loop with what it has read."""
        count = self._request_count
        idle = self._waiter
        if idle is None or idle.done():
            super().data_received(data)  # aiohttp's task is at work, and looks for more itself
            self._note(count, data)
            return
        self._waiter = None  # so that it is not woken before the door has seen what came
        super().data_received(data)
        self._waiter = idle
        if self._begun or self._request_count == count or not self._messages[-1][1].is_eof():
            self._note(count, data)  # anything but a whole request
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
        leaving = self._drain.begun and not self._messages
        if leaving:
            headers = {**headers, "Connection": "close"}
        self.transport.write(head(status, headers, len(body)) + body)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if leaving or self._close:
            self.transport.close()
        elif self._messages and not self._turning:
            self._turn()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp cannot read as HTTP; the connection is closed.

        aiohttp's own answer and log quote what was sent, and so may quote a key.
        """
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        reason = "a line is too long" if isinstance(exc, LineTooLong) else "it is malformed"
        error = InvalidRequest(f"the request cannot be read as HTTP: {reason}")
        status, headers, content = problem(error)
        response = web.Response(body=content, status=status, headers=headers)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """Log what aiohttp caught, unless it is what was wrong with a body: the client knows."""
        if not isinstance(options.get("exc_info"), (web.RequestPayloadError, GatewayError)):
            super().log_exception(*args, **options)

    @property
    def taken(self) -> int:
        """How many requests have been taken up."""
        return self._request_count - len(self._messages)

    @property
    def pending(self) -> bool:
        """Whether more requests wait behind the one that is worked on."""
        return bool(self._messages)

    @property
    def busy(self) -> bool:
        """Whether there is a request whose head has come, or what is left of one."""
        rests = self._waiter is not None and not self._waiter.done()
        return (
            not rests or self._request_in_progress or bool(self._messages) or self._body is not None
        )

    def idle_s(self, now: float) -> float:
        """Seconds without a request or the beginning of one; 0 where there is either."""
        if self._begun or self.busy:
            return 0.0
        return now - (self._next_keepalive_close_time - self._keepalive_timeout)

    def coming_s(self, now: float) -> float:
        """Seconds for which a request has been coming in; 0 where none is.

        They do not pass while it waits behind another, or after it was answered already: aiohttp
        itself bounds how long it then reads on.
        """
        if self._begun and self.busy and not self._is_read and not self._holds:
            self._begun = now
        return now - self._begun if self._begun else 0.0

    def give_up(self, error: GatewayError) -> None:
        """Answer the request that is coming in with an error, and close."""
        self._begun = 0.0
        if self._is_read and self._body is not None:
            self._break_off(self._body, error)
        elif self.transport is not None:
            self.transport.write(closing(error))
            self.force_close()

    @property
    def _is_read(self) -> bool:
        """Whether the application waits for the body that comes in."""
        request = self._current_request
        return request is not None and request.content is self._body

    def _break_off(self, body: StreamReader, error: GatewayError) -> None:
        """Have the application, which waits for the body, answer with an error, and close."""
        self._lingering_time = 0.0  # what may still come of it is not waited for
        body.set_exception(error)

    def _note(self, count: int, data: bytes) -> None:
        """Note when what comes in began, given how many requests had come before the data."""
        body, self._body = self._body, None
        if self._request_count > count:
            message, last = self._messages[-1]
            if last.is_eof():
                self._begun = 0.0  # of a head behind it, the next byte tells
                if body is not None and not isinstance(message, RawRequestMessage):
                    self._break_off(body, InvalidRequest("body: it is malformed", field="body"))
            else:
                self._body = last
                if body is not None or not self._begun:
                    self._begun = self._loop.time()
        elif body is None:
            if data and not self._begun:
                self._begun = self._loop.time()
        elif body.is_eof():
            self._begun = 0.0
        else:
            self._body = body

    def _turn(self) -> None:
        """Let the door, or else aiohttp, take the oldest requests that wait."""
        self._turning = True
        self._holds = False
        try:
            while self._arrival is None and self._messages:
                if not self._take():
                    self._holds = self._comes_soon()
                    if self._holds:
                        return
                    if self._waiter is not None and not self._waiter.done():
                        self._waiter.set_result(None)
                    return
        finally:
            self._turning = False

    def _take(self) -> bool:
        message, payload = self._messages[0]
        if not self._is_usual(message) or not payload.is_eof():
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
        return True

    def _is_usual(self, message: object) -> TypeGuard[RawRequestMessage]:
        """Whether the door may take the request, going by its head."""
        transport = self.transport
        return (
            isinstance(message, RawRequestMessage)  # else it could not be parsed
            and message.method == "POST"
            and self._door.wants(message.path)
            and message.version == HttpVersion11
            and not message.should_close
            and not message.compression
            and not message.upgrade
            and transport is not None
            and not transport.get_write_buffer_size()  # the client has read the last answer
        )

    def _comes_soon(self) -> bool:
        """Whether the oldest request lacks nothing but its body, which is small.

        Until it has come, aiohttp's task is not woken. The sweep ends the connection where that
        takes too long, as it does for a head.
        """
        message, payload = self._messages[0]
        if payload.is_eof() or not self._is_usual(message) or "Expect" in message.headers:
            return False
        return 0 < int(message.headers.get("Content-Length", 0)) <= _SMALL_BODY

    def _finish(self) -> None:
        self._request_in_progress = False
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)
