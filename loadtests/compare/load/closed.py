"""Closed loop: each client, one per connection, sends its next request when it has its answer."""

from __future__ import annotations

from time import perf_counter as clock

from loadtests.compare.load.connection import Connection
from loadtests.compare.load.generator import Generator
from loadtests.compare.load.plan import Plan


class ClosedLoop(Generator):
    """A request is meant to be sent when it is: who waits for an answer has nothing to send."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._end = -1.0  # nothing is sent before the start

    def start(self, begin: float) -> None:
        self._end = self.end
        for connection in list(self.live):
            if connection.open:
                self.free(connection)

    def free(self, connection: Connection) -> None:
        now = clock()
        if now < self._end:
            connection.ask(next(self.requests), now)

    def refused(self) -> None:
        if self.begin is not None and (now := clock()) < self._end:
            self.log.errors.append((now, "cannot connect"))

    def waiting(self) -> bool:
        return False
