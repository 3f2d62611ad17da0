"""Open loop: requests are meant to be sent at their times, whatever becomes of those before."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from time import perf_counter as clock
from time import thread_time

from loadtests.compare.load.connection import Connection
from loadtests.compare.load.generator import Generator
from loadtests.compare.load.plan import Plan, arrivals

#: The loop's timers count whole milliseconds, and may be one early or late.
_TIMER_S, _EARLY_S = 0.003, 0.0015


class OpenLoop(Generator):
    """What finds no free connection waits in ``queue``, which holds when each was to be sent."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        assert plan.rate is not None
        self._due = arrivals(plan.rate, plan.warmup_s + plan.seconds, plan.seed).tolist()
        self._next = 0
        # Taken in turn, not the last one first: behind an address may be several processes, each
        # with some of the connections.
        self._idle: deque[Connection] = deque()
        self._queue: deque[float] = deque()
        self._cpu: float | None = None

    def start(self, begin: float) -> None:
        self._due = [begin + due for due in self._due]
        self._tick()

    def free(self, connection: Connection) -> None:
        if self._queue:
            connection.ask(next(self.requests), self._queue.popleft())
        else:
            self._idle.append(connection)

    def refused(self) -> None:
        if self.live:  # those that are there will serve the queue
            return
        while self._queue:
            self.log.errors.append((self._queue.popleft(), "cannot connect"))

    def waiting(self) -> bool:
        return bool(self._queue) or self._next < len(self._due)

    def give_up(self, before: float) -> None:
        super().give_up(before)
        while self._queue and self._queue[0] < before:
            self.log.errors.append((self._queue.popleft(), "no answer in time"))

    def _tick(self) -> None:
        """Send what is due, and come back for the next."""
        loop = asyncio.get_running_loop()
        now, due, at = clock(), self._due, self._next
        first = at
        while at < len(due) and due[at] <= now:
            self._arrive(due[at])
            at += 1
        self._next = at
        if at == len(due):
            return
        if (left := due[at] - now) > _TIMER_S:
            self._cpu = None
            loop.call_later(left - _EARLY_S, self._tick)
        else:
            self._wait(at > first)
            loop.call_soon(self._tick)

    def _arrive(self, meant: float) -> None:
        while self._idle:
            connection = self._idle.popleft()
            if connection.open:
                connection.ask(next(self.requests), meant)
                return
        self._queue.append(meant)

    def _wait(self, sent: bool) -> None:
        """Account for a turn of the loop: busy waiting, unless it sent or received something."""
        os.sched_yield()  # where the server must share this core
        cpu = thread_time()
        if self._cpu is not None and not (sent or self.log.touched):
            self.waited_s += cpu - self._cpu
        self._cpu = cpu
        self.log.touched = False
