"""Natural batching: what arrives while the backend is busy goes together once it is free.

A lone request waits for nobody. One batcher feeds one target; it may have several calls in flight,
up to ``concurrency``.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from gateway.backends.base import Backend, Call, Target
from gateway.errors import BackendError, BackendTimeout, Overloaded
from gateway.models.manifest import Batching
from gateway.models.rows import Outputs, Rows, join
from gateway.routing.answer import Answer, Results
from gateway.routing.cost import Cost
from gateway.routing.queue import Asker, Awaiting, Place, Queue

if TYPE_CHECKING:
    from gateway.spans import Tracing

#: Seconds between looks whether everybody has been told; see :meth:`Batcher.finish`.
_LOOK_S = 0.01
#: Seconds between looks for requests past their deadline, and how many times as long as a look at
#: them all takes: with thousands waiting, one look per request would be all the thread does.
_LATE_LOOK_S, _LATE_LOOK_TIMES = 0.005, 10


class Observer(Protocol):
    """Told of every call to the backend."""

    def answered(self, results: Results, waited_s: float) -> None:
        """A call was answered; its oldest request had waited ``waited_s`` seconds."""
        ...

    def failed(self, error: BackendError, sent_at: float) -> None:
        """A call that was sent at ``sent_at``, a :func:`time.monotonic` time, failed."""
        ...

    def expired(self, requests: int) -> None:
        """So many requests were past their deadline before their turn came."""
        ...


class Batcher:
    """Queues requests for one target and sends them together.

    ``limits.max_batch_size`` bounds the rows of a batch, and so does the backend where more would
    not pay (:meth:`Backend.max_rows`); a request with more goes alone. ``limits.max_queue_size``
    bounds the rows that wait, ``limits.max_queue_wait_ms`` how long what waits will take, reckoned
    from the calls before; beyond either :class:`Overloaded` is raised at once.
    ``limits.max_queue_delay_ms`` lets a batch wait to fill up, for engines that are much faster on
    large ones; 0 never waits.
    """

    def __init__(
        self,
        backend: Backend,
        target: Target,
        limits: Batching,
        observer: Observer | None,
        concurrency: int = 1,
        tracing: Tracing | None = None,
    ) -> None:
        self._backend = backend
        self._target = target
        self._limits = limits
        self._max_rows = min(limits.max_batch_size, backend.max_rows(target))
        self._observer = observer
        self._tracing = tracing
        self._free = self._concurrency = concurrency
        self._cost = Cost()
        self._queue = Queue()
        self._in_flight: set[Place] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._next: asyncio.Handle | asyncio.Task[None] | None = None
        #: Set while a batch waits to fill up.
        self._filling: asyncio.TimerHandle | None = None
        self._answers_now = type(backend).predict_now is not Backend.predict_now
        self._turn: asyncio.Handle | None = None
        #: Whether the last batch answered in this thread was a single request.
        self._lonely = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        #: When deadlines may be looked at again.
        self._look_at = 0.0

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the first request; asking for it each time would cost a system call."""
        return asyncio.get_running_loop()

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        return self._queue.rows

    async def submit(self, rows: Rows, call: Call) -> Answer:
        """Have the backend answer; raises what it raises, and what :meth:`enqueue` does.

        A caller that is cancelled gives its place in the queue free.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()
        place = self.enqueue(rows, call, Awaiting(future))
        try:
            return await future
        finally:
            place.leave()

    def enqueue(self, rows: Rows, call: Call, asker: Asker) -> Place:
        """Tell ``asker`` what the backend answers, later and on the event loop's thread.

        At the call's deadline, or some milliseconds later where many wait, it is told
        :class:`BackendTimeout`, whether its batch has come back or not. Raises
        :class:`Overloaded`, and :class:`BackendTimeout` past the deadline.
        """
        if self._queue:
            self._admit(rows.count)
        if call.remaining <= 0:
            raise BackendTimeout(self._target.backend, "the deadline passed before it was asked")
        place = Place(rows, call, asker)
        self._queue.add(place)
        if self._turn is None and self._lonely and self._next is None and self._free:
            # It may be the only one again, so it shall not wait for more. Should others come in
            # this turn of the loop, they go together in the next.
            self._turn = self._loop.call_soon(self._end_turn)
            self._send_next()
        self._go_on()
        if not place.over and (self._alarm is None or call.deadline < self._alarm_at):
            self._set_alarm(call.deadline)
        return place

    def refuse_waiting(self, error: BackendError) -> int:
        """Tell all who wait, but not those in flight, that there is no answer; returns how many."""
        waiting = list(self._queue)
        _fail(waiting, error)
        return len(waiting)

    async def finish(self, timeout_s: float) -> None:
        """Wait until everybody has been told, ``timeout_s`` seconds at most."""
        for _ in range(math.ceil(timeout_s / _LOOK_S)):
            if not self._queue and not self._in_flight:
                break
            await asyncio.sleep(_LOOK_S)

    async def close(self) -> None:
        """Stop; requests that still wait are answered with :class:`BackendTimeout`."""
        for scheduled in (self._next, self._filling, self._alarm):
            if scheduled is not None:
                scheduled.cancel()
        stopping = BackendTimeout(self._target.backend, "the gateway is stopping")
        _fail([*self._queue, *self._in_flight], stopping)
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    def _admit(self, rows: int) -> None:
        """Raise :class:`Overloaded` where too much waits already."""
        waiting = self._queue.rows
        if waiting + rows > self._limits.max_queue_size:
            raise Overloaded(self._target.backend, f"{waiting} rows wait for it already")
        calls = math.ceil(waiting / self._max_rows)
        wait_ms = self._cost.seconds(calls, waiting) / self._concurrency * 1000
        if wait_ms > self._limits.max_queue_wait_ms:
            raise Overloaded(self._target.backend, f"what waits will take it {wait_ms:.0f} ms")

    def _end_turn(self) -> None:
        self._turn = None

    def _go_on(self) -> None:
        """See to it that the next batch is sent, where there is one and a call is free.

        Not at once: all that has arrived by now is read first, and goes with it. And others have
        their turn between two calls of an engine in this thread.
        """
        if self._next is not None or not self._queue or not self._free:
            return
        if self._limits.max_queue_delay_ms and self._fills():
            return
        if self._answers_now:
            self._next = self._loop.call_soon(self._send_next)
        else:
            self._next = self._start()

    def _fills(self) -> bool:
        """Whether the next batch waits to fill up: as long as its oldest request may be delayed."""
        oldest = self._queue.peek()
        if oldest is not None and self._queue.rows < self._max_rows:
            delay_s = self._limits.max_queue_delay_ms / 1000
            left_s = oldest.since + delay_s - time.perf_counter()
            if left_s > 0:
                if self._filling is None:
                    self._filling = self._loop.call_later(left_s, self._filled)
                return True
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None
        return False

    def _filled(self) -> None:
        self._filling = None
        self._go_on()

    def _send_next(self) -> None:
        """Have the next batch answered here and now, or start a call."""
        self._next = None
        if not self._answers_now:
            self._next = self._start()
            return
        batch = self._take()
        if not batch:
            return
        self._lonely = len(batch) == 1 and not self._limits.max_queue_delay_ms
        rows = _rows(batch)
        started = time.perf_counter()
        try:
            outputs = self._backend.predict_now(self._target, rows)
        except Exception:
            outputs = None  # whose fault it was, the other way finds out
        if outputs is None:
            self._start(batch)
        else:
            self._settle(batch, rows, outputs, started)
        self._go_on()

    def _start(self, batch: list[Place] | None = None) -> asyncio.Task[None]:
        """Start a call, for this batch or for what waits by the time it begins."""
        self._free -= 1
        # At once: whoever looks before the task begins must find its requests somewhere.
        self._in_flight.update(batch or ())
        task = self._loop.create_task(self._send(batch))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

    def _take(self) -> list[Place]:
        """The next batch: the oldest request, and those behind it that fit with it."""
        batch: list[Place] = []
        count = 0
        while (head := self._queue.peek()) is not None:
            count += head.rows.count
            if batch and (count > self._max_rows or not batch[0].rows.compatible(head.rows)):
                break
            batch.append(self._queue.take())
        return batch

    async def _send(self, batch: list[Place] | None) -> None:
        """One call for the whole batch; where it fails by a row's fault, one call per request."""
        if batch is None:
            self._next = None
            batch = self._take()
            self._in_flight.update(batch)
            self._go_on()  # there may be more than one call can take
        try:
            if batch:
                await self._call(batch, _rows(batch))
        except BackendError as error:
            # Unreachable or late, it would be so for each request; an answer that is an error may
            # be the fault of one row, and its neighbours shall not pay for it.
            if len(batch) > 1 and error.by_a_row:
                await self._send_each(batch)
            else:
                _fail(batch, error)
        except Exception as error:
            _fail(batch, error)
        finally:
            self._in_flight.difference_update(batch)
            self._free += 1
        self._go_on()

    async def _send_each(self, batch: list[Place]) -> None:
        """One call per request, as long as the backend can be reached at all."""
        for index, place in enumerate(batch):
            if place.over:
                continue
            try:
                await self._call([place], place.rows)
            except BackendError as error:
                if not error.by_a_row:
                    _fail(batch[index:], error)
                    return
                place.fail(error)

    async def _call(self, batch: list[Place], rows: Rows) -> None:
        headers = batch[0].call.headers
        deadline = max(place.call.deadline for place in batch)
        span = None
        if self._tracing is not None:
            asked = [place.call.headers for place in batch]
            span = self._tracing.call(self._target.backend, self._backend.url, rows.count, asked)
            headers = headers if span is None else span.headers
        sent_at, started = time.monotonic(), time.perf_counter()
        try:
            outputs = await self._backend.predict(self._target, rows, Call(deadline, headers))
        except BackendError as error:
            if span is not None:
                span.finish(error)
            if self._observer is not None:
                self._observer.failed(error, sent_at)
            raise
        if span is not None:
            span.finish()
        self._settle(batch, rows, outputs, started)

    def _settle(self, batch: list[Place], rows: Rows, outputs: Outputs, started: float) -> None:
        seconds = time.perf_counter() - started
        self._cost.note(rows.count, seconds)
        results = Results(outputs, self._target, rows.count, seconds)
        start = 0
        for place in batch:
            stop = start + place.rows.count
            place.answer(Answer(results, start, stop, started - place.since))
            start = stop
        if self._observer is not None:
            self._observer.answered(results, started - batch[0].since)

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = max(deadline, self._look_at)
        wait = max(self._alarm_at - time.monotonic(), 0)
        self._alarm = self._loop.call_later(wait, self._expire)

    def _expire(self) -> None:
        """Fail what is past its deadline; wake again for the next. One timer serves them all."""
        self._alarm = None
        now = time.monotonic()
        late: list[Place] = []
        next_deadline = _sort_out(self._queue, now, late)
        waiting = len(late)
        next_deadline = min(next_deadline, _sort_out(self._in_flight, now, late))
        look_s = time.monotonic() - now
        self._look_at = now + max(_LATE_LOOK_S, _LATE_LOOK_TIMES * look_s)
        if next_deadline < math.inf:
            self._set_alarm(next_deadline)
        if self._observer is not None:
            self._observer.expired(waiting)
        detail = "it did not answer within the deadline"
        _fail(late, BackendTimeout(self._target.backend, detail))


def _sort_out(places: Iterable[Place], now: float, late: list[Place]) -> float:
    """Add to ``late`` what is past its deadline; returns the earliest of the other deadlines."""
    earliest = math.inf
    for place in places:
        if place.over:
            continue
        deadline = place.call.deadline
        if deadline <= now:
            late.append(place)
        elif deadline < earliest:
            earliest = deadline
    return earliest


def _rows(batch: list[Place]) -> Rows:
    return batch[0].rows if len(batch) == 1 else join([place.rows for place in batch])


def _fail(places: Iterable[Place], error: Exception) -> None:
    for place in places:
        place.fail(error)
