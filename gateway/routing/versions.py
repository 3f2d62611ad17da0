"""The model versions in service: loaded beside each other, swapped, and given up again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from gateway.backends.base import Target
from gateway.config import Settings
from gateway.errors import ModelError, words_of
from gateway.logs import logger
from gateway.memory import give_back
from gateway.models.repository import ModelVersion, Repository
from gateway.routing.lane import Lane
from gateway.routing.listing import Listing, list_files
from gateway.routing.trial import try_out
from gateway.telemetry import Telemetry

#: Targets by lineage by backend.
Offered = dict[str, dict[str, Target]]


class Versions:
    """Keeps a lane for every target of the newest versions of each model.

    ``settings.versions_kept`` of them stay loaded. Where no version is asked for, each backend and
    lineage answers with the newest version that is ready there; so a new version comes into force
    at the engine of this process first, and at a server once that has it, too. ``on_change`` is
    called when any of this has changed.
    """

    def __init__(
        self,
        repository: Repository,
        backends: Collection[str],
        make_lane: Callable[[Target], Lane],
        settings: Settings,
        telemetry: Telemetry,
        on_change: Callable[[], None],
    ) -> None:
        self.repository = repository
        self.lanes: dict[Target, Lane] = {}
        self._backends = backends
        self._make_lane = make_lane
        self._settings = settings
        self._telemetry = telemetry
        self._on_change = on_change
        self._offered: dict[ModelVersion, Offered] = {}
        #: Targets that may answer where no version is asked for.
        self._ready: set[Target] = set()
        self._newest: dict[str, Offered] = {}
        self._listing: Listing | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def load(self) -> None:
        """Load the newest versions; a target that cannot be loaded is kept with its reason."""
        self._listing = await asyncio.to_thread(list_files, self.repository.path)
        for versions in list(self.repository.models.values()):
            for entry in _newest_first(versions)[self._settings.versions_kept :]:
                self.repository.remove(entry)
        for entry in self.repository:
            lanes = self._open(entry)
            for lane in lanes:
                with suppress(ModelError):
                    await lane.open()
                    self._ready.add(lane.target)
        self._choose()

    async def close(self) -> None:
        """Close all lanes."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for lane in self.lanes.values():
            await lane.close()

    def pinned(self, entry: ModelVersion) -> Offered:
        """The targets of one version."""
        return self._offered[entry]

    def newest(self, model: str) -> Offered:
        """The targets that answer where no version is asked for."""
        return self._newest[model]

    def active(self) -> list[Target]:
        """These targets of all models."""
        return [
            target
            for offered in self._newest.values()
            for lineages in offered.values()
            for target in lineages.values()
        ]

    async def follow(self, interval_s: float) -> None:
        """Take up and give up versions as the repository's folder changes, until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.refresh()
            except Exception:
                # An end of following would go unnoticed; this does not.
                logger.exception("the model repository could not be followed")

    async def refresh(self) -> None:
        """Bring what is served in line with the repository's folder."""
        listing = await asyncio.to_thread(list_files, self.repository.path)
        changed = False
        if listing != self._listing and self.repository.path is not None:
            self._listing = listing
            changed = await self._update(self.repository.path)
        changed |= await self._promote()
        if changed:
            self._choose()
            self._on_change()

    async def _update(self, path: Path) -> bool:
        """Adopt what is new and retire what is gone or too old; whether to choose anew."""
        try:
            known = self.repository
            found = await asyncio.to_thread(
                Repository.scan, path, known.max_instances, known.max_pixels, known.described
            )
        except ModelError as error:
            logger.error("the model repository cannot be read: %s", error.detail)
            self.repository.refused = {path.name: error.detail.replace(str(path), path.name)}
            return False
        self._note_failures(found.failures)
        self.repository.described = found.described
        changed = False
        for name, versions in list(found.models.items()):
            kept = 0
            for entry in _newest_first(versions):
                served = self.repository.models.get(name, {}).get(entry.version)
                if kept == self._settings.versions_kept:
                    if served is not None:
                        self._retire(served)
                elif served is not None and served.source == entry.source:
                    kept += 1
                elif await self._adopt(entry):
                    if served is not None:
                        self._retire(served)
                    kept += 1
                    changed = True
                elif served is not None:
                    kept += 1
        for entry in list(self.repository):
            if entry.origin in found.failures:
                continue  # what is there now is broken; what was there goes on
            if entry.version not in found.models.get(entry.name, {}):
                self._retire(entry)
        return changed

    def _note_failures(self, failures: Mapping[str, str]) -> None:
        for name, reason in failures.items():
            if self.repository.refused.get(name) != reason:
                logger.error("%s is not served as it is now: %s", name, reason)
        self.repository.refused = dict(failures)

    async def _adopt(self, entry: ModelVersion) -> bool:
        """Load a version beside the others, and have it answer the example; False if it cannot."""
        lanes = self._open(entry)
        try:
            for lane in lanes:
                await lane.open()
                if lane.local:
                    await try_out(lane, self._before(lane.target), self._settings)
                    await lane.ready()  # or it counted as not ready until the next look
        except Exception as error:  # whatever it is, the version before goes on
            for lane in lanes:
                del self.lanes[lane.target]
                await lane.close()
            del self._offered[entry]
            name, reason = f"{entry.name}/{entry.version}", words_of(error)
            self.repository.refused[name] = reason
            fields = {"version": name, "reason": reason}
            logger.error("model version refused", extra={"fields": fields})
            self._telemetry.model_reloads.labels(entry.name, "refused").inc()
            return False
        self._ready |= {lane.target for lane in lanes if lane.local}
        self.repository.models.setdefault(entry.name, {})[entry.version] = entry
        if all(name in self._backends for name in entry.manifest.backends):
            self.repository.failures.pop(entry.origin, None)
        fields = {"version": f"{entry.name}/{entry.version}"}
        logger.info("model version loaded", extra={"fields": fields})
        self._telemetry.model_reloads.labels(entry.name, "loaded").inc()
        return True

    def _before(self, target: Target) -> Lane | None:
        """Who answers in the target's place until it does."""
        offered = self._newest.get(target.model.name, {})
        before = offered.get(target.backend, {}).get(target.lineage)
        return None if before is None else self.lanes[before]

    async def _promote(self) -> bool:
        """Ask servers for versions they did not have before; whether one has come."""
        changed = False
        for versions in self.repository.models.values():
            for lineages in self._offered[_newest_first(versions)[0]].values():
                for target in lineages.values():
                    lane = self.lanes[target]
                    if target not in self._ready and not lane.local and await lane.ready():
                        self._ready.add(target)
                        changed = True
        return changed

    def _open(self, entry: ModelVersion) -> list[Lane]:
        """Make the lanes of a version, not yet loaded."""
        offered = self._offered[entry] = {
            name: {
                lineage: Target(name, entry, lineage, options)
                for lineage, options in spec.lineages.items()
            }
            for name, spec in entry.manifest.backends.items()
            if name in self._backends
        }
        for name in entry.manifest.backends:
            if name not in self._backends:
                known = ", ".join(self._backends) or "none"
                reason = f"backend {name!r} has no adapter; there is: {known}"
                self.repository.failures[entry.name] = reason
        lanes = [
            self._make_lane(target) for lineages in offered.values() for target in lineages.values()
        ]
        self.lanes |= {lane.target: lane for lane in lanes}
        return lanes

    def _retire(self, entry: ModelVersion) -> None:
        """Stop serving a version; it is freed once its last request has been answered.

        That comes into force here and now: what else there is to do may take seconds, and until
        then requests would be sent to lanes that are gone.
        """
        self.repository.remove(entry)
        lanes = [
            self.lanes.pop(target)
            for lineages in self._offered.pop(entry).values()
            for target in lineages.values()
        ]
        self._ready -= {lane.target for lane in lanes}
        self._choose()
        self._on_change()
        task = asyncio.get_running_loop().create_task(_close_all(lanes))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        fields = {"version": f"{entry.name}/{entry.version}"}
        logger.info("model version given up", extra={"fields": fields})

    def _choose(self) -> None:
        """Find the newest ready target of every backend and lineage the newest version has."""
        self._newest = {}
        for name, versions in self.repository.models.items():
            entries = _newest_first(versions)
            self._newest[name] = {
                backend: {
                    lineage: self._newest_ready(entries, backend, lineage) for lineage in lineages
                }
                for backend, lineages in self._offered[entries[0]].items()
            }

    def _newest_ready(self, entries: list[ModelVersion], backend: str, lineage: str) -> Target:
        for entry in entries:
            target = self._offered[entry].get(backend, {}).get(lineage)
            if target is not None and target in self._ready:
                return target
        return self._offered[entries[0]][backend][lineage]


async def _close_all(lanes: list[Lane]) -> None:
    await asyncio.gather(*(lane.retire() for lane in lanes))
    lanes.clear()
    await asyncio.to_thread(give_back)


def _newest_first(versions: Mapping[str, ModelVersion]) -> list[ModelVersion]:
    return sorted(versions.values(), key=lambda entry: int(entry.version), reverse=True)
