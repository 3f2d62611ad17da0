"""The servers of a comparison: what each of them takes, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.models.repository import ModelVersion
from loadtests.compare.cost.artifacts import artifact
from loadtests.compare.cost.installed import installed
from loadtests.compare.cost.processes import Family
from loadtests.compare.cost.starters import STARTERS
from loadtests.compare.errors import CompareError
from loadtests.compare.results import Figure, Server, figure_id

_UNSEEN = "no process of this machine is seen to listen at its address"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and the stand-in that answers there, if one does."""

    url: str
    stand_in: str | None = None


@dataclass(slots=True)
class _Seen:
    """What was found at an address; memory in MB, None where it could not be read."""

    family: Family | None
    processes: list[str] = field(default_factory=list)
    idle_mb: float | None = None
    loaded_mb: float | None = None
    restarted: bool = False


class Servers:
    """Watches servers by name: made before the first load, told when the last is over.

    Looking at processes takes some milliseconds in which the caller's event loop stands still.
    """

    def __init__(self, addresses: Mapping[str, Address]) -> None:
        self._addresses = dict(addresses)
        self._seen = {name: _look(address) for name, address in addresses.items()}

    @property
    def families(self) -> dict[str, Family | None]:
        """The processes of each server, for a :class:`~loadtests.compare.cost.meter.Meter`."""
        return {name: seen.family for name, seen in self._seen.items()}

    def loaded(self) -> None:
        """Read the memory right after the last load."""
        for name, seen in self._seen.items():
            if seen.family is not None and not seen.family.alive:
                seen.family, seen.restarted = Family.at(self._addresses[name].url), True
            if seen.family is not None:
                try:
                    seen.loaded_mb = seen.family.rss_mb()
                    seen.processes = seen.family.names()
                except CompareError:
                    seen.loaded_mb = None

    def entries(
        self,
        version: ModelVersion,
        first: Mapping[str, Figure],
        images: Mapping[str, Figure] | None = None,
        builds: Mapping[str, Figure] | None = None,
    ) -> list[Server]:
        """An entry for each server.

        ``first`` are the figures of :func:`loadtests.compare.cost.cold.first_prediction`,
        ``images`` and ``builds`` those of :mod:`loadtests.compare.cost.images`, all by server.
        """
        return [
            self._entry(name, version, first.get(name), (images or {}).get(name), builds or {})
            for name in self._addresses
        ]

    def _entry(
        self,
        name: str,
        version: ModelVersion,
        first: Figure | None,
        image: Figure | None,
        builds: Mapping[str, Figure],
    ) -> Server:
        seen, stand_in = self._seen[name], self._addresses[name].stand_in
        starter = STARTERS.get(name)
        backend = name if starter is None else starter.backend
        spec = version.manifest.backends.get(backend)
        lineages = [] if spec is None else [(backend, lineage) for lineage in spec.lineages]
        after = "after a restart" if seen.restarted else ""
        return Server(
            name=name,
            processes=seen.processes,
            memory_idle=_memory(name, "idle", "before the first load", seen.idle_mb, stand_in),
            memory_loaded=_memory(
                name, "loaded", "after the last load", seen.loaded_mb, stand_in, after
            ),
            first_prediction=first or _unmeasured(name, stand_in),
            install=installed(name, stand_in),
            artifact=artifact(name, version, lineages, stand_in),
            image=image,
            image_build=builds.get(name),
            stand_in=stand_in,
        )


def _look(address: Address) -> _Seen:
    family = Family.at(address.url)
    if family is not None:
        try:
            return _Seen(family, family.names(), family.rss_mb())
        except CompareError:  # it has ended meanwhile
            pass
    return _Seen(None)


def _memory(
    name: str, state: str, when: str, value: float | None, stand_in: str | None, remark: str = ""
) -> Figure:
    return Figure(
        id=figure_id("cost", name, f"memory_{state}"),
        what=f"resident memory of {name} {when}",
        value=value,
        unit="MB",
        stand_in=stand_in,
        remark=_UNSEEN if value is None else remark,
    )


def _unmeasured(name: str, stand_in: str | None) -> Figure:
    return Figure(
        id=figure_id("cost", name, "first_prediction"),
        what=f"from the start of {name} to its first prediction",
        value=None,
        unit="s",
        stand_in=stand_in,
        remark="not measured",
    )
