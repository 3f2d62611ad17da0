"""Shadow traffic: a share of the answered requests is asked of a candidate too, and compared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Protocol

import msgspec

from gateway.backends.base import Call, Target
from gateway.errors import BackendError, GatewayError, shorten
from gateway.logs import logger
from gateway.models.rows import Rows, join
from gateway.routing.answer import Answer
from gateway.routing.backlog import Backlog, Copy
from gateway.routing.pace import Pace
from gateway.routing.shadow_report import Findings, ShadowReport

#: 2**32 divided by the golden ratio: see :meth:`Shadow._chosen`.
_GOLDEN = 2_654_435_769
_RANGE = 2**32
#: Seconds of this process's time a call is taken to cost besides what is measured: tasks and
#: futures, and for a server the building, sending and reading of an HTTP call of some dozen rows.
_LOCAL_CALL_S = 0.0001
_REMOTE_CALL_S = 0.0005

Predict = Callable[[Target, Rows, Call], Awaitable[Answer]]


class Observer(Protocol):
    """Told of what becomes of the copied requests; its methods must be quick and not raise."""

    def compared(self, requests: int, rows: int, agreeing: int) -> None:
        """So many requests with so many rows were compared, and so many of the rows agreed."""
        ...

    def dropped(self, reason: str) -> None:
        """A request was not copied: ``queue_full``, ``too_large`` or ``candidate_failing``."""
        ...

    def failed(self) -> None:
        """The candidate did not answer a request."""
        ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What shadowing may cost.

    ``max_rows`` and ``max_bytes`` bound what is held, waiting or in flight; the bytes are those of
    request bodies, of arrays made of them and of outputs, and JSON decoded to anything else may
    take some times as much. ``concurrency`` calls to a remote candidate are in flight at most, each
    with one request or with several of at most ``batch_rows`` rows (or the model's
    ``max_batch_size``), for at most ``timeout_s`` seconds. ``busy`` is the share of this process's
    time; for it and the failures see :class:`Pace`.
    """

    max_rows: int = 1_000
    max_bytes: int = 32 * 1024 * 1024
    concurrency: int = 4
    batch_rows: int = 64
    timeout_s: float = 5.0
    busy: float = 0.01
    failures: int = 5
    pause_s: float = 1.0
    max_pause_s: float = 10.0

    def pace(self) -> Pace:
        """A pace of these limits."""
        return Pace(self.busy, self.failures, self.pause_s, self.max_pause_s)


class Shadow:
    """Asks ``candidate`` what ``share`` (0 to 1) of a model's requests were answered, and compares.

    Promised: :meth:`offer` waits for nothing, raises nothing and takes a few microseconds; what is
    held is bounded (:class:`Limits`), and beyond it requests are dropped and counted; calls in
    flight are bounded and end at their deadline; a failing candidate is left alone for a while.
    Its calls and comparisons rest for as long as keeps them within ``limits.busy`` of this
    process's time. That counts comparing, what a candidate in this process (``local``) computed,
    and an allowance for every call. Under load it therefore drops rather than keeps up: the
    comparisons then are a sample, and callers keep the core.

    Not promised: that a candidate in this process never holds the event loop. A single call of it
    does so for as long as it computes, ``batch_rows`` rows or one larger request at a time.
    Requests that were dropped, or are still held at :meth:`close`, are never compared.

    ``predict`` must end at its call's deadline, as :meth:`Batcher.submit` does. ``tolerance`` is
    the manifest's ``parity.absolute``. :meth:`report` holds a client's payload: it is for the
    management door only, and never logged.
    """

    def __init__(
        self,
        predict: Predict,
        candidate: Target,
        share: float,
        tolerance: float,
        observer: Observer,
        local: bool,
        limits: Limits | None = None,
    ) -> None:
        self._predict = predict
        self._candidate = candidate
        self._share = share
        self._threshold = round(share * _RANGE)
        self._observer = observer
        self._local = local
        self._limits = limits or Limits()
        # Side by side, calls to an engine on this event loop would only become larger.
        self._concurrency = 1 if local else self._limits.concurrency
        self._batch_rows = min(
            self._limits.batch_rows, candidate.model.manifest.batching.max_batch_size
        )
        self._backlog = Backlog(self._limits.max_rows, self._limits.max_bytes)
        self._idle: list[asyncio.Future[None]] = []
        self._workers: list[asyncio.Task[None]] = []
        self._closed = False
        self._pace = self._limits.pace()
        self._findings = Findings(tolerance)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the first request; asking for it each time would cost a system call."""
        return asyncio.get_running_loop()

    def offer(self, rows: Rows, answer: Answer, primary_s: float, key: str, size: int) -> bool:
        """Copy this request if it is its turn and there is room; returns whether it was copied.

        To be called on the event loop after the caller's response has been written. ``primary_s``
        is how long the answer took, in seconds, best as the candidate's is measured: ``queue_s``
        plus ``backend_s``. ``key`` is the request's id, for the report; ``size`` its body's bytes.
        Copies the outputs, so the batch the answer was part of is not kept.
        """
        if self._closed or not self._chosen():
            return False
        try:
            views = answer.outputs
            size += rows.nbytes + sum([array.nbytes for array in views.values()])
            reason = self._refusal(rows.count, size)
            if reason is not None:
                self._findings.dropped[reason] += 1
                self._observer.dropped(reason)
                return False
            outputs = {name: array.copy() for name, array in views.items()}
            self._backlog.put(Copy(rows, outputs, primary_s, key, size))
            self._findings.copied += 1
            if self._idle:
                self._idle.pop().set_result(None)
            elif len(self._workers) < self._concurrency:
                self._workers.append(self._loop.create_task(self._work()))
        except Exception:
            # The caller has its answer; a fault in here must not become the door's.
            logger.exception("a request could not be copied")
            return False
        return True

    def report(self) -> ShadowReport:
        """What was found so far; holds a client's payload, see the class."""
        return self._findings.report(self._candidate, self._share)

    async def close(self) -> None:
        """Stop; cancels the calls in flight and forgets what waits."""
        self._closed = True
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._backlog.clear()

    def _chosen(self) -> bool:
        """Whether it is this request's turn.

        The multiples of the golden ratio, modulo one, fall into any interval as often as its length
        says, with an error of a few requests however many there are; a hash of the key or a random
        number would err by their square root. Every tenth request, as a plain counter would take
        it, could always be the same one of a client that sends ten in turn; here each of the ten
        gets its share.
        """
        self._findings.offered += 1
        return self._findings.offered * _GOLDEN % _RANGE < self._threshold

    def _refusal(self, rows: int, size: int) -> str | None:
        """Why a request of so many rows and bytes is not taken, or None."""
        if not self._backlog.fits(rows, size):
            return "too_large"
        if self._pace.paused:
            return "candidate_failing"
        return None if self._backlog.has_room(rows, size) else "queue_full"

    async def _work(self) -> None:
        """Ask for one group after another, for as long as the shadow lives."""
        while True:
            await self._pace.wait()
            if not self._backlog:
                idle = self._loop.create_future()
                self._idle.append(idle)
                await idle
                continue
            group = self._backlog.take(self._batch_rows)
            await self._ask(group)
            self._backlog.release(group)

    async def _ask(self, group: list[Copy]) -> None:
        """One call for the group; where it fails by a row's fault, one call per request."""
        self._pace.charge(_LOCAL_CALL_S if self._local else _REMOTE_CALL_S)
        try:
            rows = join([copy.rows for copy in group])
            answer = await self._predict(self._candidate, rows, Call.within(self._limits.timeout_s))
            results = answer.results
            started = time.perf_counter()
            candidate_s = answer.queue_s + results.backend_s
            found = self._findings.compare(group, answer.outputs, candidate_s)
            spent = time.perf_counter() - started
        except Exception as error:
            # An answer that is an error may be the fault of one row of one request.
            if isinstance(error, BackendError) and error.by_a_row and len(group) > 1:
                await self._ask_each(group)
            else:
                self._fail(error)
                self._count_failed(len(group))
            return
        if self._local:
            spent += results.backend_s * rows.count / results.rows
        self._pace.charge(spent)
        self._pace.succeeded()
        self._observer.compared(len(group), *found)

    async def _ask_each(self, group: list[Copy]) -> None:
        """One call per request, as long as the candidate answers some."""
        for index, copy in enumerate(group):
            await self._pace.wait()
            await self._ask([copy])
            if self._pace.paused:
                self._count_failed(len(group) - index - 1)
                return

    def _fail(self, error: Exception) -> None:
        if isinstance(error, GatewayError):
            self._findings.last_error = error.detail
        else:
            self._findings.last_error = shorten(f"{type(error).__name__}: {error}", 200)
            logger.error("a shadow call broke", exc_info=error)
        self._pace.failed()

    def _count_failed(self, requests: int) -> None:
        self._findings.failed += requests
        for _ in range(requests):
            self._observer.failed()
