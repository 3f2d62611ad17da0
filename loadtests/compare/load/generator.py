"""Sends the requests of a plan: what closed and open loop have in common."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from time import perf_counter as clock
from time import process_time
from typing import Any

import numpy as np

from loadtests.compare.load.connection import Connection, Log
from loadtests.compare.load.plan import Outcome, Plan

#: Seconds before a server that refused a connection is tried again.
_PAUSE_S = 0.05
#: Seconds between two looks for requests to give up, and at whether the last ones have ended.
_LOOK_S, _END_LOOK_S = 0.1, 0.005


class Generator(ABC):
    """Carries out one plan over connections that are opened anew whenever they are lost."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.requests: Iterator[bytes] = itertools.cycle(plan.requests)
        self.log = Log()
        self.live: set[Connection] = set()
        self.begin: float | None = None  # None until every connection was tried once
        self.waited_s = 0.0  # CPU time of busy waiting
        self._untried = plan.connections
        self._all_tried = asyncio.Event()
        self._fault: Exception | None = None

    @abstractmethod
    def start(self, begin: float) -> None:
        """Send the first request, or see to it that it will be sent; times count from ``begin``."""

    @abstractmethod
    def free(self, connection: Connection) -> None:
        """The connection can be asked (again)."""

    @abstractmethod
    def refused(self) -> None:
        """A connection could not be opened."""

    @abstractmethod
    def waiting(self) -> bool:
        """Whether there are requests that have not been sent yet though they should be."""

    def give_up(self, before: float) -> None:
        """Give up what was meant to be sent before that time."""
        for connection in list(self.live):
            if connection.meant is not None and connection.meant < before:
                connection.give_up("no answer in time")

    @property
    def end(self) -> float:
        """When the last request is meant to be sent."""
        assert self.begin is not None
        return self.begin + self.plan.warmup_s + self.plan.seconds

    async def run(self) -> Outcome:
        """Do all of it. Raises what went wrong in the generator itself."""
        asyncio.get_running_loop().set_exception_handler(self._fail)
        try:
            async with asyncio.TaskGroup() as group:
                slots = [group.create_task(self._keep_open()) for _ in range(self.plan.connections)]
                cpu = await self._send()
                for slot in slots:
                    slot.cancel()
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
        for connection in self.live:
            connection.give_up("")
        return self._outcome(cpu)

    async def _send(self) -> float:
        """From the first request to the last answer; returns the CPU time the window took."""
        await self._all_tried.wait()
        self.begin = clock()
        self.start(self.begin)
        await self._until(self.end - self.plan.seconds)
        before = process_time() - self.waited_s
        await self._until(self.end)
        cpu = process_time() - self.waited_s - before
        while self.waiting() or any(each.meant is not None for each in self.live):
            await self._look(_END_LOOK_S)
        return cpu

    async def _until(self, when: float) -> None:
        while (left := when - clock()) > 0:
            await self._look(min(left, _LOOK_S))

    async def _look(self, pause: float) -> None:
        await asyncio.sleep(pause)
        self.give_up(clock() - self.plan.give_up_s)
        if self._fault is not None:
            raise self._fault

    async def _keep_open(self) -> None:
        """Keep one connection open."""
        loop = asyncio.get_running_loop()
        plan = self.plan
        while True:
            connection = None
            try:
                async with asyncio.timeout(plan.give_up_s):
                    _, connection = await loop.create_connection(
                        lambda: Connection(self.log, self.free), plan.host, plan.port
                    )
            except (OSError, TimeoutError):
                self.refused()
            self._tried()
            if connection is None:
                await asyncio.sleep(_PAUSE_S)
                continue
            self.live.add(connection)
            if connection.open:
                self.free(connection)
            await connection.lost
            self.live.discard(connection)

    def _tried(self) -> None:
        self._untried -= 1
        if self._untried == 0:
            self._all_tried.set()

    def _fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        fault = context.get("exception") or RuntimeError(context.get("message", "it failed"))
        self._fault = self._fault or fault

    def _outcome(self, cpu: float) -> Outcome:
        end = self.end
        begin = end - self.plan.seconds
        meant, came = np.array(self.log.meant), np.array(self.log.came)
        counted = (meant >= begin) & (meant < end)
        errors = Counter(what for when, what in self.log.errors if begin <= when < end)
        latencies = (came[counted] - meant[counted]) * 1000
        return Outcome(
            packed=latencies.astype(np.float64).tobytes(),
            errors=dict(errors),
            sent=int(counted.sum()) + errors.total(),
            in_window=int(((came >= begin) & (came < end)).sum()),
            seconds=self.plan.seconds,
            driver_cpu_s=max(cpu, 0.0),
        )
