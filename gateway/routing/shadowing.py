"""The shadows in force: one per model whose policy asks for one."""

from __future__ import annotations

import asyncio

from gateway.backends.base import Target
from gateway.models.rows import Rows
from gateway.routing.answer import Answer
from gateway.routing.batcher import Batcher
from gateway.routing.policy import Policy
from gateway.routing.policy import Shadow as Wanted
from gateway.routing.selection import find
from gateway.routing.shadow import Shadow
from gateway.routing.shadow_report import ShadowReport
from gateway.routing.versions import Versions
from gateway.telemetry import Telemetry


class Shadowing:
    """Keeps a shadow for each model that shall have one, and passes answers on to them."""

    def __init__(self, versions: Versions, telemetry: Telemetry) -> None:
        self._versions = versions
        self._telemetry = telemetry
        self._running: dict[str, _Running] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def update(self, policy: Policy) -> None:
        """Start and end shadows as the policy says; one that stays the same goes on counting."""
        wanted: dict[str, tuple[Wanted, Target]] = {}
        for name, model in policy.models.items():
            if model.shadow is not None and name in self._versions.repository.models:
                offered = self._versions.newest(name)
                candidate = find(offered, model.shadow.candidate, None)
                if candidate is not None and candidate in self._versions.lanes:
                    wanted[name] = model.shadow, candidate
        for name, running in list(self._running.items()):
            if wanted.get(name) == (running.wanted, running.candidate):
                del wanted[name]
            else:
                del self._running[name]
                task = asyncio.get_running_loop().create_task(running.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        for name, (shadow, candidate) in wanted.items():
            self._running[name] = _Running(shadow, candidate, self._versions, self._telemetry)

    def offer(self, rows: Rows, answer: Answer, identity: str, size: int) -> None:
        """To be called once the caller has its answer; ``size`` is the body's, in bytes."""
        if not self._running:
            return
        results = answer.results
        target = results.target
        running = self._running.get(target.model.name)
        if running is None or target is running.candidate:
            return
        theirs = running.candidate.model
        if target.model is theirs or target.model.manifest.features == theirs.manifest.features:
            spent_s = answer.queue_s + results.backend_s
            running.shadow.offer(rows, answer, spent_s, identity, size)

    def reports(self) -> list[ShadowReport]:
        """What each shadow has found so far; holds clients' payloads."""
        return [running.shadow.report() for running in self._running.values()]

    async def close(self) -> None:
        """End them all."""
        running, self._running = list(self._running.values()), {}
        await asyncio.gather(*(one.close() for one in running), *self._closing)


class _Running:
    """A shadow with a queue of its own, so that copies never wait among callers' requests."""

    def __init__(
        self, wanted: Wanted, candidate: Target, versions: Versions, telemetry: Telemetry
    ) -> None:
        self.wanted = wanted
        self.candidate = candidate
        self._names = candidate.model.name, f"{candidate.backend}/{candidate.lineage}"
        self._telemetry = telemetry
        lane = versions.lanes[candidate]
        self._batcher: Batcher = lane.make_batcher()
        tolerance = candidate.model.manifest.parity.absolute
        self.shadow = Shadow(
            lambda _, rows, call: self._batcher.submit(rows, call),
            candidate,
            wanted.share,
            tolerance,
            self,
            lane.local,
        )

    async def close(self) -> None:
        """End it; what it has found is forgotten."""
        await self.shadow.close()
        await self._batcher.close()

    def compared(self, requests: int, rows: int, agreeing: int) -> None:
        """See :class:`gateway.routing.shadow.Observer`."""
        self._telemetry.shadow_requests.labels(*self._names, "compared").inc(requests)
        counted = self._telemetry.shadow_rows
        counted.labels(*self._names, "agreeing").inc(agreeing)
        counted.labels(*self._names, "differing").inc(rows - agreeing)

    def dropped(self, reason: str) -> None:
        """See :class:`gateway.routing.shadow.Observer`."""
        self._telemetry.shadow_requests.labels(*self._names, f"dropped_{reason}").inc()

    def failed(self) -> None:
        """See :class:`gateway.routing.shadow.Observer`."""
        self._telemetry.shadow_requests.labels(*self._names, "failed").inc()
