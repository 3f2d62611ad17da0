"""What is known of every target: whether it answers, and what it last failed with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.backends.base import Backend, Call, Health, Target
from gateway.errors import BackendError, GatewayError, words_of
from gateway.models.example import example_rows


@dataclass
class TargetState:
    """The last look at one target. ``last_error`` outlives recovery; ``health`` does not."""

    target: Target
    health: Health = field(default_factory=lambda: Health(False, "not checked yet"))
    load_error: str | None = None
    last_error: str | None = None
    last_error_at: str | None = None

    def note_error(self, error: GatewayError) -> None:
        """Remember a failed prediction or check."""
        self.last_error = error.detail
        self.last_error_at = datetime.now(UTC).isoformat(timespec="seconds")


class HealthMonitor:
    """Checks targets on demand and believes the result for a moment.

    A target is ready once it has answered a warm-up prediction with the manifest's example, and
    as long as its backend's own check agrees; one that failed must answer another warm-up. A model
    without an example it answers (``warm_up`` false) is ready as soon as the check says so.
    """

    def __init__(self, backends: Mapping[str, Backend], timeout: float, max_age: float) -> None:
        self._backends = backends
        self._timeout = timeout
        self._max_age = max_age
        self._checked_at = float("-inf")
        self._lock = asyncio.Lock()
        self.states: dict[Target, TargetState] = {}

    def add(self, target: Target) -> TargetState:
        """Watch a target."""
        state = self.states[target] = TargetState(target)
        return state

    def remove(self, target: Target) -> None:
        """Watch a target no longer."""
        self.states.pop(target, None)

    async def probe(self, target: Target) -> Health:
        """Check one target now, with a warm-up prediction whatever it was before."""
        state = self.states[target]
        state.health = Health(False, state.health.detail, state.health.stand_in)
        await self._check(state)
        return state.health

    def note_failure(self, target: Target, error: BackendError, gone: bool) -> None:
        """A prediction failed; with ``gone`` the target is not ready until it answers a warm-up."""
        state = self.states.get(target)
        if state is None:
            return
        state.note_error(error)
        if gone:
            state.health = Health(False, error.detail, state.health.stand_in)

    async def refresh(self) -> Iterable[TargetState]:
        """All states, checked anew unless that was done a moment ago."""
        async with self._lock:
            if time.monotonic() - self._checked_at >= self._max_age:
                await asyncio.gather(*map(self._check, list(self.states.values())))
                self._checked_at = time.monotonic()
        return self.states.values()

    async def _check(self, state: TargetState) -> None:
        if state.load_error is not None:
            state.health = Health(False, state.load_error)
            return
        try:
            state.health = await self._look(state)
        except Exception as error:  # an adapter's mistake: the other targets are looked at, too
            failure = BackendError(state.target.backend, words_of(error))
            state.note_error(failure)
            state.health = Health(False, failure.detail, state.health.stand_in)

    async def _look(self, state: TargetState) -> Health:
        target = state.target
        backend = self._backends[target.backend]
        health = await backend.check(target, Call.within(self._timeout))
        if health.ready and not state.health.ready and target.model.manifest.warm_up:
            try:
                rows = await example_rows(target.model)
                await backend.predict(target, rows, Call.within(self._timeout))
            except GatewayError as error:
                state.note_error(error)
                return Health(False, f"warm-up: {error.detail}", health.stand_in)
        return health
