"""The requests that wait for one target: their places, and who is told of the answer."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from gateway.backends.base import Call
from gateway.models.rows import Rows
from gateway.routing.answer import Answer

#: Places of requests that have left are kept in the queue up to this many without a look.
_MAX_FORGOTTEN = 100


class Asker(Protocol):
    """Who asks for an answer. Told exactly once, unless it has left; must not raise."""

    def answered(self, answer: Answer) -> None:
        """The backend has answered."""
        ...

    def failed(self, error: Exception) -> None:
        """There will be no answer."""
        ...


class Ticket(Protocol):
    """A request that was taken."""

    @property
    def over(self) -> bool:
        """Whether the asker was told, or has left."""
        ...

    def leave(self) -> None:
        """Nobody waits for the answer any longer."""
        ...


class Awaiting:
    """An asker that is a coroutine."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[Answer]) -> None:
        self._future = future

    def answered(self, answer: Answer) -> None:
        if not self._future.done():  # cancelled this very moment
            self._future.set_result(answer)

    def failed(self, error: Exception) -> None:
        if not self._future.done():
            self._future.set_exception(error)


class Place:
    """A request's place in the queue or in flight; :meth:`leave` gives it free."""

    __slots__ = ("_asker", "_queue", "call", "over", "rows", "since")

    def __init__(self, rows: Rows, call: Call, asker: Asker) -> None:
        self.rows = rows
        self.call = call
        self.over = False
        self.since = time.perf_counter()
        self._asker = asker
        self._queue: Queue | None = None

    def leave(self) -> None:
        """Nobody waits for the answer any longer."""
        if not self.over:
            self.over = True
            if self._queue is not None:
                self._queue.forget(self)

    def answer(self, answer: Answer) -> None:
        """Tell the asker, unless it was told already or has left."""
        if not self.over:
            self.leave()
            self._asker.answered(answer)

    def fail(self, error: Exception) -> None:
        """Tell the asker that there will be no answer."""
        if not self.over:
            self.leave()
            self._asker.failed(error)


class Queue:
    """The places that wait, oldest first; ``rows`` counts those whose request still waits."""

    def __init__(self) -> None:
        self.rows = 0
        self._places: deque[Place] = deque()
        self._forgotten = 0

    def add(self, place: Place) -> None:
        place._queue = self
        self.rows += place.rows.count
        self._places.append(place)

    def peek(self) -> Place | None:
        """The oldest place that still waits."""
        places = self._places
        while places and places[0].over:
            places.popleft()
            self._forgotten -= 1
        return places[0] if places else None

    def take(self) -> Place:
        """Remove the place :meth:`peek` has shown."""
        place = self._places.popleft()
        place._queue = None
        self.rows -= place.rows.count
        return place

    def forget(self, place: Place) -> None:
        """A place is over; it goes at the latest when most of them are."""
        self.rows -= place.rows.count
        self._forgotten += 1
        if self._forgotten > _MAX_FORGOTTEN and self._forgotten * 2 > len(self._places):
            self._places = deque(place for place in self._places if not place.over)
            self._forgotten = 0

    def __iter__(self) -> Iterator[Place]:
        return (place for place in self._places if not place.over)

    def __bool__(self) -> bool:
        return self.rows > 0
