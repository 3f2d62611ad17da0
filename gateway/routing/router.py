"""Which backend answers a request, and the one place where a backend is called."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from gateway.backends import ADAPTERS
from gateway.backends.base import Backend, Call, Target
from gateway.config import Settings
from gateway.errors import BackendError, BackendUnavailable, ModelError, NotFound
from gateway.models.repository import ModelVersion, Repository
from gateway.models.rows import Rows
from gateway.routing.answer import Answer, Results
from gateway.routing.batcher import Batcher
from gateway.routing.health import HealthMonitor
from gateway.routing.queue import Asker, Place
from gateway.telemetry import Telemetry

#: ``?backend=`` that leaves the choice to the gateway.
AUTO = "auto"


class Router:
    """Resolves requests to targets and has backends answer them.

    Use as an async context manager: entering loads every target of the repository, leaving closes
    the backends. A target that cannot be loaded is kept with its reason and answers 503, the
    others are served.
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
        self._batchers: dict[Target, Batcher] = {}
        self._targets: dict[ModelVersion, dict[str, dict[str, Target]]] = {}

    async def __aenter__(self) -> Self:
        for model in self.repository:
            offers = self._targets[model] = {}
            for name, spec in model.manifest.backends.items():
                if name not in self.backends:
                    known = ", ".join(self.backends) or "none"
                    self.repository.failures[model.name] = (
                        f"backend {name!r} has no adapter; there is: {known}"
                    )
                    continue
                offers[name] = {
                    lineage: Target(name, model, lineage, options)
                    for lineage, options in spec.lineages.items()
                }
                for target in offers[name].values():
                    await self._load(target)
        return self

    async def __aexit__(self, *_: object) -> None:
        for target, batcher in self._batchers.items():
            await batcher.close()
            await self.backends[target.backend].unload(target)
        await asyncio.gather(*(backend.close() for backend in self.backends.values()))

    def resolve(
        self,
        model: str | None = None,
        version: str | None = None,
        backend: str | None = None,
        lineage: str | None = None,
    ) -> Target:
        """The target of a request; raises :class:`NotFound` listing what there is.

        Without ``backend`` (or with ``auto``) the default backend answers, and without
        ``lineage`` the backend's first; a lineage alone picks the first backend that has it.
        """
        entry = self.repository.get(model, version)
        offers = self._targets[entry]
        where = f" of model {entry.name}"
        if backend is None or backend == AUTO:
            able = [name for name, lineages in offers.items() if lineage in (None, *lineages)]
            if not able:
                known = dict.fromkeys(name for lineages in offers.values() for name in lineages)
                raise NotFound("lineage", lineage or "", list(known), where)
            preferred = self.settings.default_backend
            backend = preferred if preferred in able else able[0]
        elif backend not in offers:
            raise NotFound("backend", backend, [*offers, AUTO], where)
        lineages = offers[backend]
        if lineage is None:
            return next(iter(lineages.values()))
        if lineage not in lineages:
            raise NotFound("lineage", lineage, list(lineages), f" of backend {backend}")
        return lineages[lineage]

    async def predict(self, target: Target, rows: Rows, call: Call) -> Answer:
        """Have the target's backend answer; raises :class:`BackendError` or a subclass."""
        return await self._batcher(target).submit(rows, call)

    def enqueue(self, target: Target, rows: Rows, call: Call, asker: Asker) -> Place:
        """The same for those who cannot await; see :meth:`Batcher.enqueue`."""
        return self._batcher(target).enqueue(rows, call, asker)

    def _batcher(self, target: Target) -> Batcher:
        state = self.health.states[target]
        if state.load_error is not None:
            raise BackendUnavailable(target.backend, f"not loaded: {state.load_error}")
        return self._batchers[target]

    async def unready(self) -> list[str]:
        """Why the gateway is not ready; empty when it is."""
        reasons = [f"{name}: {reason}" for name, reason in self.repository.failures.items()]
        required = self.settings.required
        served = {target.backend for target in self.health.states}
        reasons += [f"{name}: no model is served by it" for name in sorted(required - served)]
        for state in await self.health.refresh():
            target = state.target
            if target.backend in required and not state.health.ready:
                reasons.append(
                    f"{target.backend}: {target.model.name} version {target.model.version} "
                    f"({target.lineage}): {state.health.detail}"
                )
        return reasons

    async def _load(self, target: Target) -> None:
        state = self.health.add(target)
        try:
            await self.backends[target.backend].load(target)
        except ModelError as error:
            state.load_error = error.detail
            state.note_error(error)
            return
        backend = self.backends[target.backend]
        self._batchers[target] = Batcher(
            backend,
            target,
            target.model.manifest.batching,
            _Watch(target, self.health, self.telemetry),
            backend.concurrency if backend.url is None else self.settings.remote_concurrency,
        )


class _Watch:
    """Keeps health and metrics up to date with what one target answers."""

    def __init__(self, target: Target, health: HealthMonitor, telemetry: Telemetry) -> None:
        self._target = target
        self._health = health
        names = (target.model.name, target.backend, target.lineage)
        self._rows = telemetry.rows.labels(*names)
        self._batch_rows = telemetry.batch_rows.labels(*names)
        self._backend_seconds = telemetry.backend_seconds.labels(*names)
        self._queue_seconds = telemetry.queue_seconds.labels(*names)

    def answered(self, results: Results, waited_s: float) -> None:
        """See :class:`gateway.routing.batcher.Observer`."""
        self._rows.inc(results.rows)
        self._batch_rows.observe(results.rows)
        self._backend_seconds.observe(results.backend_s)
        self._queue_seconds.observe(waited_s)

    def failed(self, error: BackendError) -> None:
        """See :class:`gateway.routing.batcher.Observer`."""
        self._health.note_failure(self._target, error)


def open_router(
    settings: Settings,
    backends: Mapping[str, Backend] | None = None,
) -> Router:
    """A router over the repository the settings name; raises :class:`ModelError`."""
    repository = Repository.scan(Path(settings.repository), settings.max_instances)
    return Router(repository, settings, backends)
