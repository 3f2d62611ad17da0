"""One target in service: its queue, its breaker, and what is known of its health."""

from __future__ import annotations

import math
import time

from gateway.backends.base import Backend, Call, Target
from gateway.config import Settings
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    GatewayError,
    InputRefused,
    ModelError,
    Overloaded,
    words_of,
)
from gateway.logs import logger
from gateway.models.rows import Rows
from gateway.routing.answer import Results
from gateway.routing.batcher import Batcher, Observer
from gateway.routing.breaker import Breaker, BreakerState
from gateway.routing.health import HealthMonitor
from gateway.routing.queue import Asker, Place
from gateway.telemetry import Telemetry

#: Seconds after which a server that has not answered may be taken to hang.
_FAIR_S = 1.0
#: The longest pause between two probes in seconds: one costs little, and callers wait for it.
_MAX_OPEN_S = 5.0


class Lane:
    """Everything a request of one target goes through; see :meth:`open` and :meth:`enqueue`.

    The breaker, and the health, count what says that a server is gone or hangs. No client shall be
    able to stop a backend for the others with bad rows or short deadlines, and an engine in this
    process cannot be gone.
    """

    def __init__(
        self,
        target: Target,
        backend: Backend,
        health: HealthMonitor,
        telemetry: Telemetry,
        settings: Settings,
    ) -> None:
        self.target = target
        self.backend = backend
        self._health = health
        self._settings = settings
        self._batcher: Batcher | None = None
        self._why_not = "it is not loaded yet"
        self.breaker = Breaker(
            self.ready,
            max_open_s=_MAX_OPEN_S,
            probe_timeout_s=2 * settings.health_timeout_s,
            on_change=self._changed,
        )
        self._tracing = None if self.local else telemetry.tracing
        model = target.model
        self._metrics = telemetry.for_target(
            model.name, model.version, target.backend, target.lineage
        )
        self._metrics.watch(lambda: self.queued_rows, lambda: self.breaker.state)

    @property
    def local(self) -> bool:
        """Whether the engine is in this process."""
        return self.backend.url is None

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        return 0 if self._batcher is None else self._batcher.queued_rows

    async def open(self) -> None:
        """Load the target; raises :class:`ModelError`, which is then what requests are told.

        Whatever else an adapter raises becomes one: the other targets are served all the same.
        """
        state = self._health.add(self.target)
        try:
            await self._load()
        except ModelError as error:
            state.load_error = error.detail
            state.note_error(error)
            self._why_not = f"not loaded: {error.detail}"
            raise

    async def _load(self) -> None:
        try:
            await self.backend.load(self.target)
            self._batcher = self.make_batcher(self)
        except GatewayError as error:
            raise ModelError(error.detail) from error
        except Exception as error:
            model = self.target.model
            logger.exception("%s/%s could not be loaded", model.name, model.version)
            raise ModelError(words_of(error)) from error

    async def ready(self) -> bool:
        """Whether it answers a warm-up prediction now."""
        return (await self._health.probe(self.target)).ready

    def make_batcher(self, observer: Observer | None = None) -> Batcher:
        """A queue for the loaded target, of which ``observer`` is told."""
        concurrency = self.backend.concurrency if self.local else self._settings.remote_concurrency
        limits = self.target.model.manifest.batching
        return Batcher(self.backend, self.target, limits, observer, concurrency, self._tracing)

    async def close(self) -> None:
        """Stop probing, answer who still waits, and free what was loaded."""
        self._why_not = "this version is no longer served"
        await self.breaker.close()
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            await batcher.close()
        self._health.remove(self.target)
        self._metrics.close()
        await self.backend.unload(self.target)

    async def retire(self) -> None:
        """Take no more requests, finish those there are, then close."""
        self._why_not = "this version is no longer served"
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            await batcher.finish(self._settings.request_timeout_s)
            await batcher.close()
        await self.close()

    def enqueue(self, rows: Rows, call: Call, asker: Asker) -> Place:
        """See :meth:`Batcher.enqueue`; raises :class:`BackendUnavailable` while it is closed."""
        if self._batcher is None:
            raise BackendUnavailable(self.target.backend, self._why_not)
        if not self.breaker.allow():
            self._metrics.refused("breaker")
            raise self._open_error()
        try:
            return self._batcher.enqueue(rows, call, asker)
        except (Overloaded, BackendTimeout) as error:
            late = isinstance(error, BackendTimeout)
            self._metrics.refused("deadline" if late else "overloaded")
            raise

    def answered(self, results: Results, waited_s: float) -> None:
        """See :class:`gateway.routing.batcher.Observer`."""
        self.breaker.succeeded()
        self._metrics.answered(results.rows, results.backend_s, waited_s)

    def failed(self, error: BackendError, sent_at: float) -> None:
        """See :class:`gateway.routing.batcher.Observer`."""
        if isinstance(error, InputRefused):
            return  # it says nothing of the backend, and is no other client's to read
        self._metrics.failed(error.slug)
        gone = not self.local and self._tells_of_the_server(error, sent_at)
        self._health.note_failure(self.target, error, gone)
        if gone:
            self.breaker.failed(sent_at)

    def _tells_of_the_server(self, error: BackendError, sent_at: float) -> bool:
        """Whether it is gone or hangs, going by this failure of a call.

        An answer that is an error may be the fault of one row; and that it took longer than a
        deadline says nothing where a client has set one of a few milliseconds.
        """
        if isinstance(error, BackendTimeout):
            fair_s = min(_FAIR_S, self._settings.request_timeout_s / 4)
            return time.monotonic() - sent_at >= fair_s
        return isinstance(error, BackendUnavailable)

    def expired(self, requests: int) -> None:
        """See :class:`gateway.routing.batcher.Observer`."""
        self._metrics.refused("deadline", requests)

    def _changed(self, state: BreakerState) -> None:
        if state is BreakerState.OPEN and self._batcher is not None:
            self._metrics.refused("breaker", self._batcher.refuse_waiting(self._open_error()))

    def _open_error(self) -> BackendUnavailable:
        last = self._health.states[self.target].last_error or "it failed"
        error = BackendUnavailable(
            self.target.backend, f"it is left alone for a moment, because it kept failing: {last}"
        )
        error.logged = False  # those that opened the breaker were
        error.retry_after_s = max(1, math.ceil(self.breaker.retry_after_s))
        return error
