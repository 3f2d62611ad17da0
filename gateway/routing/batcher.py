"""Natural batching: what arrives while the backend is busy goes together once it is free.

A lone request waits for nobody. One batcher feeds one target; it may have several calls in flight,
up to ``concurrency``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from functools import cached_property
from typing import Protocol

from gateway.backends.base import Backend, Call, Target
from gateway.errors import BackendError, BackendTimeout, Overloaded
from gateway.models.manifest import Batching
from gateway.models.rows import Rows, join
from gateway.routing.answer import Answer, Results


class Observer(Protocol):
    """Told of every call to the backend."""

    def answered(self, results: Results, waited_s: float) -> None:
        """A call was answered; its oldest request had waited ``waited_s`` seconds."""
        ...

    def failed(self, error: BackendError) -> None:
        """A call failed."""
        ...


class _Waiting:
    """One request in the queue or in flight."""

    __slots__ = ("call", "future", "rows", "since")

    def __init__(self, rows: Rows, call: Call, future: asyncio.Future[Answer]) -> None:
        self.rows = rows
        self.call = call
        self.future = future
        self.since = time.perf_counter()


class Batcher:
    """Queues requests for one target and sends them together.

    ``limits.max_batch_size`` bounds the rows of a batch; a request with more goes alone.
    ``limits.max_queue_size`` bounds the rows that wait; beyond it :class:`Overloaded` is raised at
    once. ``limits.max_queue_delay_ms`` lets a batch wait to fill up, for engines that are much
    faster on large ones; 0 never waits.
    """

    def __init__(
        self,
        backend: Backend,
        target: Target,
        limits: Batching,
        observer: Observer,
        concurrency: int = 1,
    ) -> None:
        self._backend = backend
        self._target = target
        self._limits = limits
        self._observer = observer
        self._concurrency = concurrency
        self._queue: deque[_Waiting] = deque()
        self._queued_rows = 0
        self._in_flight: set[_Waiting] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._workers: list[asyncio.Task[None]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the first request; asking for it each time would cost a system call."""
        return asyncio.get_running_loop()

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        return self._queued_rows

    async def submit(self, rows: Rows, call: Call, alone: bool = False) -> Answer:
        """Have the backend answer; raises what it raises, and :class:`Overloaded`.

        ``alone`` says that no other request is on its way, so there is nothing to wait for.
        Raises :class:`BackendTimeout` at the call's deadline whether its batch has come back or
        not. A caller that is cancelled gives its place in the queue free.
        """
        if self._queue and self._queued_rows + rows.count > self._limits.max_queue_size:
            raise Overloaded(self._target.backend, self._limits.max_queue_size)
        if call.remaining <= 0:
            raise BackendTimeout(self._target.backend, "the deadline passed before it was asked")
        if alone and not self._queue and self._backend.immediate(self._target, rows):
            results = await self._ask_backend(rows, call, 0.0)
            return Answer(results, 0, rows.count, 0.0)
        waiting = _Waiting(rows, call, self._loop.create_future())
        self._queue.append(waiting)
        self._queued_rows += rows.count
        if self._idle:
            self._idle.pop().set_result(None)
        elif len(self._workers) < self._concurrency:
            self._workers.append(self._loop.create_task(self._work()))
        if self._alarm is None or call.deadline < self._alarm_at:
            self._set_alarm(call.deadline)
        return await waiting.future

    async def close(self) -> None:
        """Stop; requests that still wait are answered with :class:`BackendTimeout`."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._alarm is not None:
            self._alarm.cancel()
        stopping = BackendTimeout(self._target.backend, "the gateway is stopping")
        _fail([*self._queue, *self._in_flight], stopping)

    async def _work(self) -> None:
        """Send batch after batch, one at a time, for as long as the batcher lives."""
        delay = self._limits.max_queue_delay_ms / 1000
        while True:
            if not self._queue:
                idle = self._loop.create_future()
                self._idle.append(idle)
                await idle
            if delay and self._queued_rows < self._limits.max_batch_size:
                await asyncio.sleep(delay)
            batch = self._take()
            if not batch:
                continue
            self._in_flight.update(batch)
            await self._send(batch)
            self._in_flight.difference_update(batch)
            if self._queue:
                await asyncio.sleep(0)  # an engine in this thread would starve everyone else

    def _take(self) -> list[_Waiting]:
        """The next batch: the oldest request, and those behind it that fit with it."""
        batch: list[_Waiting] = []
        count = 0
        while self._queue:
            head = self._queue[0]
            if head.future.done():  # cancelled, or past its deadline
                self._pop()
                continue
            if batch and (
                count + head.rows.count > self._limits.max_batch_size
                or not batch[0].rows.compatible(head.rows)
            ):
                break
            batch.append(self._pop())
            count += head.rows.count
        return batch

    def _pop(self) -> _Waiting:
        head = self._queue.popleft()
        self._queued_rows -= head.rows.count
        return head

    async def _send(self, batch: list[_Waiting]) -> None:
        """One call for the whole batch; where it fails by a row's fault, one call per request."""
        try:
            await self._call(batch)
        except BackendError as error:
            # Unreachable or late, it would be so for each request; an answer that is an error may
            # be the fault of one row, and its neighbours shall not pay for it.
            if len(batch) > 1 and type(error) is BackendError:
                await self._send_each(batch)
            else:
                _fail(batch, error)
        except Exception as error:
            _fail(batch, error)

    async def _send_each(self, batch: list[_Waiting]) -> None:
        """One call per request, as long as the backend can be reached at all."""
        for index, waiting in enumerate(batch):
            if waiting.future.done():
                continue
            try:
                await self._call([waiting])
            except BackendError as error:
                if type(error) is not BackendError:
                    _fail(batch[index:], error)
                    return
                _fail([waiting], error)

    async def _call(self, batch: list[_Waiting]) -> None:
        first = batch[0]
        rows, call = first.rows, first.call
        if len(batch) > 1:
            rows = join([waiting.rows for waiting in batch])
            call = Call(max(waiting.call.deadline for waiting in batch), first.call.headers)
        started = time.perf_counter()
        results = await self._ask_backend(rows, call, started - first.since)
        start = 0
        for waiting in batch:
            stop = start + waiting.rows.count
            if not waiting.future.done():
                waiting.future.set_result(Answer(results, start, stop, started - waiting.since))
            start = stop

    async def _ask_backend(self, rows: Rows, call: Call, waited_s: float) -> Results:
        started = time.perf_counter()
        try:
            outputs = await self._backend.predict(self._target, rows, call)
        except BackendError as error:
            self._observer.failed(error)
            raise
        results = Results(outputs, rows.count, time.perf_counter() - started)
        self._loop.call_soon(self._observer.answered, results, waited_s)  # the answer goes first
        return results

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        wait = max(deadline - time.monotonic(), 0)
        self._alarm = self._loop.call_later(wait, self._expire)
        self._alarm_at = deadline

    def _expire(self) -> None:
        """Fail what is past its deadline; wake again for the next. One timer serves them all."""
        self._alarm = None
        now = time.monotonic()
        left = []
        for waiting in (*self._queue, *self._in_flight):
            if waiting.future.done():
                continue
            if waiting.call.deadline <= now:
                detail = "it did not answer within the deadline"
                _fail([waiting], BackendTimeout(self._target.backend, detail))
            else:
                left.append(waiting.call.deadline)
        if left:
            self._set_alarm(min(left))


def _fail(requests: Iterable[_Waiting], error: BaseException) -> None:
    for waiting in requests:
        if not waiting.future.done():
            waiting.future.set_exception(error)
