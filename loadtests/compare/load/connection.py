"""A connection of the driver: one request at a time, and a note of what became of it."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from time import perf_counter as clock
from typing import cast

from loadtests.compare.load.answer import Answer, Unreadable


class Log:
    """What became of each request, by when it was meant to be sent.

    ``meant`` and ``came`` belong to the answers with status 200, ``errors`` holds (when it was
    meant to be sent, what came instead). Times are :func:`time.perf_counter`'s. ``touched`` is set
    whenever something was received: the one who waits can tell that time was not only waited away.
    """

    __slots__ = ("came", "errors", "meant", "touched")

    def __init__(self) -> None:
        self.meant = array("d")
        self.came = array("d")
        self.errors: list[tuple[float, str]] = []
        self.touched = False


class Connection(asyncio.Protocol):
    """Calls ``on_free`` with itself when it has its answer and can be asked again.

    ``meant`` is when the request on its way was meant to be sent, None where there is none;
    ``lost`` ends when the connection is closed, by whoever.
    """

    def __init__(self, log: Log, on_free: Callable[[Connection], None]) -> None:
        self.open = False
        self.meant: float | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._log = log
        self._on_free = on_free
        self._answer = Answer()
        self._transport: asyncio.Transport

    def ask(self, request: bytes, meant: float) -> None:
        """Send a request; only while it is :attr:`open` and has none on its way."""
        self.meant = meant
        self._transport.write(request)

    def give_up(self, why: str) -> None:
        """Note the request on its way as an error, if there is one, and close the connection.

        An answer that comes later could be taken for the next one's, so that it cannot be used.
        """
        self.open = False
        if self.meant is not None:
            self._log.errors.append((self.meant, why))
            self.meant = None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not derived from it
        self.open = True

    def data_received(self, data: bytes) -> None:
        now = clock()
        log = self._log
        log.touched = True
        try:
            if not self._answer.feed(data):
                return
        except Unreadable:
            self.give_up("unreadable answer")
            return
        meant, self.meant = self.meant, None
        if meant is None:  # an answer nobody has asked for; some servers say 408 and close
            self.give_up("")
            return
        self._note(meant, now)
        answer = self._answer
        keep = answer.keep
        answer.reset()
        if keep:
            self._on_free(self)
        else:
            self.open = False
            self._transport.close()

    def eof_received(self) -> None:
        self.open = False
        if self.meant is not None and self._answer.close():
            self._note(self.meant, clock())
            self.meant = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self.meant is not None:
            self._log.errors.append((self.meant, "connection lost"))
            self.meant = None
        if not self.lost.done():
            self.lost.set_result(None)

    def _note(self, meant: float, now: float) -> None:
        if self._answer.status == 200:
            self._log.meant.append(meant)
            self._log.came.append(now)
        else:
            self._log.errors.append((meant, self._answer.problem))
