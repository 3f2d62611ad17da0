"""Which backend answers a request, and the one place where backends are called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from gateway.backends import ADAPTERS
from gateway.backends.base import Backend, Call, Target
from gateway.config import Settings
from gateway.errors import BackendUnavailable
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Rows
from gateway.routing.answer import Answer
from gateway.routing.attempt import Attempt
from gateway.routing.budget import RetryBudget
from gateway.routing.health import HealthMonitor
from gateway.routing.lane import Lane
from gateway.routing.offers import offers_of
from gateway.routing.policy_file import PolicyFile, policy_path
from gateway.routing.queue import Asker, Awaiting, Ticket
from gateway.routing.selection import Offered, Selection, select, select_all
from gateway.routing.shadowing import Shadowing
from gateway.routing.versions import Versions
from gateway.telemetry import Telemetry


class Router:
    """Resolves requests to targets and has backends answer them.

    Use as an async context manager: entering loads every target of the repository, leaving closes
    the backends. A target that cannot be loaded is kept with its reason and answers 503, the
    others are served. :meth:`follow` keeps it up to date with the policy's file and the
    repository's folder.
    """

    def __init__(
        self,
        repository: Repository,
        settings: Settings,
        backends: Mapping[str, Backend] | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.repository = repository
        self.settings = settings
        if backends is None:
            wanted = {name for model in repository for name in model.manifest.backends}
            backends = {
                name: adapter.from_settings(settings)
                for name, adapter in ADAPTERS.items()
                if name in wanted
            }
        self.backends = dict(backends)
        self.health = HealthMonitor(
            self.backends, settings.health_timeout_s, settings.health_max_age_s
        )
        self.telemetry = telemetry or Telemetry()
        self.versions = Versions(
            repository, self.backends, self._make_lane, settings, self.telemetry, self._change
        )
        self.policy = PolicyFile(
            policy_path(settings), lambda: offers_of(repository), lambda _: self._change()
        )
        self.shadowing = Shadowing(self.versions, self.telemetry)
        self._budget = RetryBudget()
        self._listeners: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        await self.versions.load()
        self.policy.load()
        self._change()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.shadowing.close()
            await self.versions.close()
            await asyncio.gather(*(backend.close() for backend in self.backends.values()))
        finally:
            self.telemetry.flush()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called whenever selections no longer hold."""
        self._listeners.append(listener)

    def select(
        self,
        model: str | None = None,
        version: str | None = None,
        backend: str | None = None,
        lineage: str | None = None,
    ) -> Selection:
        """What a request's query means; raises :class:`NotFound` listing what there is.

        See :func:`gateway.routing.selection.select`. Without ``version`` each backend answers with
        the newest one it is ready for.
        """
        entry, offered = self._offered(model, version)
        policy = self.policy.policy.of(entry.name)
        preferred = self.settings.default_backend
        return select(entry, offered, policy, preferred, backend, lineage)

    def select_all(
        self,
        model: str | None = None,
        version: str | None = None,
        backends: Sequence[str] | None = None,
        lineage: str | None = None,
    ) -> tuple[Target, ...]:
        """The targets a comparison asks, whatever the policy; raises :class:`NotFound`.

        See :func:`gateway.routing.selection.select_all`, and :meth:`select` for ``version``.
        """
        return select_all(*self._offered(model, version), backends, lineage)

    async def predict(self, targets: tuple[Target, ...], rows: Rows, call: Call) -> Answer:
        """Have the first target that can answer; raises :class:`BackendError` or a subclass."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        ticket = self.enqueue(targets, rows, call, Awaiting(future))
        try:
            return await future
        finally:
            ticket.leave()

    def enqueue(self, targets: tuple[Target, ...], rows: Rows, call: Call, asker: Asker) -> Ticket:
        """The same for those who cannot await: ``asker`` is told, maybe before this returns.

        Raises :class:`BackendError`, and then the asker is told nothing.
        """
        lanes = self.versions.lanes
        try:
            lane = lanes[targets[0]]
            if len(targets) == 1 and lane.local:
                return lane.enqueue(rows, call, asker)
            ways = [lanes[target] for target in targets]
        except KeyError:
            backend = targets[0].backend
            raise BackendUnavailable(backend, "this version is no longer served") from None
        attempt = Attempt(ways, rows, call, asker, self._budget, self)
        attempt.start()
        return attempt

    async def unready(self) -> list[str]:
        """Why the gateway is not ready; empty when it is."""
        reasons = [f"{name}: {reason}" for name, reason in self.repository.failures.items()]
        required = self.settings.required
        await self.health.refresh()
        active = self.versions.active()
        served = {target.backend for target in active}
        reasons += [f"{name}: no model is served by it" for name in sorted(required - served)]
        for target in active:
            health = self.health.states[target].health
            if target.backend in required and not health.ready:
                reasons.append(
                    f"{target.backend}: {target.model.name} version {target.model.version} "
                    f"({target.lineage}): {health.detail}"
                )
        return reasons

    def retried(self, target: Target) -> None:
        """See :class:`gateway.routing.attempt.Watcher`."""
        names = (target.model.name, target.backend, target.lineage)
        self.telemetry.retries.labels(*names).inc()

    def fell_back(self, failed: Target, target: Target) -> None:
        """See :class:`gateway.routing.attempt.Watcher`."""
        self.telemetry.fallbacks.labels(target.model.name, failed.backend, target.backend).inc()

    def _offered(self, model: str | None, version: str | None) -> tuple[ModelVersion, Offered]:
        entry = self.repository.get(model, version)
        offered = self.versions.pinned(entry) if version else self.versions.newest(entry.name)
        return entry, offered

    def _make_lane(self, target: Target) -> Lane:
        backend = self.backends[target.backend]
        return Lane(target, backend, self.health, self.telemetry, self.settings)

    def _change(self) -> None:
        """The policy or the versions have changed."""
        self.shadowing.update(self.policy.policy)
        for listener in self._listeners:
            listener()

    async def follow(self) -> None:
        """Follow the policy's file and the repository's folder, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.policy.follow())
            group.create_task(self.telemetry.keep_fresh())
            if self.settings.reload_interval_s:
                group.create_task(self.versions.follow(self.settings.reload_interval_s))


def open_router(
    settings: Settings,
    backends: Mapping[str, Backend] | None = None,
) -> Router:
    """A router over the repository the settings name; raises :class:`ModelError`."""
    repository = Repository.scan(
        Path(settings.repository), settings.max_instances, settings.max_image_pixels
    )
    return Router(repository, settings, backends)
