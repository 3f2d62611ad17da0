"""One request on its way: asked of one target after the other until one answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.backends.base import Call, Target
from gateway.errors import BackendError, BackendUnavailable, InputRefused, Overloaded
from gateway.models.rows import Rows
from gateway.routing.answer import Answer
from gateway.routing.budget import RetryBudget
from gateway.routing.lane import Lane
from gateway.routing.queue import Asker, Place

#: Seconds before the same target is asked again: long enough for a restarted connection, and
#: spread, so that a failed batch does not come back as one.
_RETRY_AFTER_S = (0.01, 0.05)


class Watcher(Protocol):
    """Told of what an attempt does besides waiting."""

    def retried(self, target: Target) -> None:
        """The same target is asked again."""
        ...

    def fell_back(self, failed: Target, target: Target) -> None:
        """``target`` is asked because ``failed`` did not answer."""
        ...


class Attempt:
    """Asks ``lanes`` in order; who asked is told of the first answer, or of the last failure.

    While there are lanes left, each gets no more than half of the time that remains, so that one
    that hangs leaves time for the next. The last one is asked a second time only where that is safe
    and may help: its server could not be reached or had no room, it is not this process, and
    ``budget`` allows it.
    """

    __slots__ = (
        "_asker",
        "_budget",
        "_call",
        "_index",
        "_lanes",
        "_over",
        "_place",
        "_retried",
        "_rows",
        "_timer",
        "_watcher",
    )

    def __init__(
        self,
        lanes: Sequence[Lane],
        rows: Rows,
        call: Call,
        asker: Asker,
        budget: RetryBudget,
        watcher: Watcher,
    ) -> None:
        self._lanes = lanes
        self._rows = rows
        self._call = call
        self._asker = asker
        self._budget = budget
        self._watcher = watcher
        self._index = 0
        self._retried = False
        self._over = False
        self._place: Place | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Whether the asker has been told, or has left."""
        return self._over

    def start(self) -> None:
        """Ask the first lane; the asker may be told before this returns."""
        self._budget.request()
        self._ask()

    def leave(self) -> None:
        """Nobody waits for the answer any longer."""
        place = self._end()
        if self._timer is not None:
            self._timer.cancel()
        if place is not None:
            place.leave()

    def answered(self, answer: Answer) -> None:
        """See :class:`gateway.routing.queue.Asker`."""
        self._end()
        self._asker.answered(answer)

    def failed(self, error: Exception) -> None:
        """See :class:`gateway.routing.queue.Asker`."""
        if self._over:
            return
        refused = isinstance(error, InputRefused)  # as every other backend would
        if isinstance(error, BackendError) and not refused and self._call.remaining > 0:
            if self._may_retry(error):
                self._retried = True
                self._watcher.retried(self._lanes[self._index].target)
                self._later(self._ask)
                return
            if self._index + 1 < len(self._lanes):
                failed = self._lanes[self._index].target
                self._index += 1
                self._watcher.fell_back(failed, self._lanes[self._index].target)
                self._ask()
                return
        self._end()
        self._asker.failed(error)

    def _end(self) -> Place | None:
        """No more is asked. Place and attempt know each other, which is undone here: the garbage
        collector would have to find it."""
        self._over = True
        place, self._place = self._place, None
        return place

    def _ask(self) -> None:
        lane = self._lanes[self._index]
        call = self._call
        if self._index + 1 < len(self._lanes):
            call = Call(time.monotonic() + call.remaining / 2, call.headers)
        try:
            place = lane.enqueue(self._rows, call, self)
        except BackendError as error:
            self.failed(error)
        else:
            if not self._over and not place.over:
                self._place = place

    def _may_retry(self, error: BackendError) -> bool:
        lane = self._lanes[self._index]
        return (
            self._index + 1 == len(self._lanes)
            and not self._retried
            and isinstance(error, BackendUnavailable)
            and not isinstance(error, Overloaded)
            and not lane.local
            and lane.breaker.allow()
            and self._budget.allow()
        )

    def _later(self, then: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(random.uniform(*_RETRY_AFTER_S), then)
