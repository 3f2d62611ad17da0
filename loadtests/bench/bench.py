"""One run: its options, and how contestants are measured against each other."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from gateway.models.manifest import Manifest
from loadtests.bench.cores import core_seconds
from loadtests.bench.endpoint import Endpoint
from loadtests.bench.errors import BenchError
from loadtests.bench.expected import Oracle
from loadtests.bench.fleet import Fleet, members
from loadtests.bench.opponents.opponent import Place
from loadtests.bench.parity import require_parity
from loadtests.bench.payload import draw_rows
from loadtests.bench.report import Absence, Entry, Report
from loadtests.bench.samples import Sample, settled
from loadtests.bench.workload import Workload, split
from loadtests.bench.wrk import run_wrk

#: Seconds after a load in which the server finishes what was under way. One that is frozen with
#: work in hand finds its deadlines passed when it wakes: TorchServe then restarts its worker.
_PAUSE_S = 0.5
_WARM_SLICE_S = 2


@dataclass(frozen=True, slots=True)
class Options:
    """``seconds`` is the length of a sample, ``warm_s`` the longest load before the first round."""

    rounds: int = 5
    seconds: int = 4
    warm_s: int = 60
    quick: bool = False
    server_core: int = 0
    client_core: int = 1


@dataclass
class Bench:
    """What the scenarios share. ``report`` grows with each."""

    options: Options
    place: Place
    oracle: Oracle
    report: Report
    manifest: Manifest
    console: Console = field(default_factory=Console)

    def fleet(self) -> Fleet:
        """The servers of one scenario."""
        return Fleet(self.options.server_core)

    def workload(self, connections: int, rows: int = 1) -> Workload:
        """Bodies of so many rows each, 64 different ones where they are small."""
        count = max(2, min(64, 2048 // rows))
        return Workload(connections, split(draw_rows(self.manifest, count * rows), rows))

    async def admit(
        self, scenario: str, fleet: Fleet, endpoint: Endpoint, workload: Workload
    ) -> bool:
        """Start it and have its answers checked; False, and noted, where that fails."""
        try:
            await fleet.start(endpoint)
            if endpoint.graph:
                rows = [row for body in workload.bodies for row in body]
                expected = self.oracle.predict(endpoint.graph, rows)
                await require_parity(endpoint, workload, expected, self.oracle.tolerance)
        except BenchError as error:
            self.absent(scenario, endpoint.name, error)
            return False
        return True

    async def compete(
        self, scenario: str, fleet: Fleet, endpoints: Sequence[Endpoint], workload: Workload
    ) -> dict[Endpoint, Entry]:
        """Measure the endpoints against each other; those that fail are noted and absent."""
        pairs = [(endpoint, workload) for endpoint in endpoints]
        entries = await self.rotate(scenario, fleet, pairs)
        return {endpoint: entry for (endpoint, _), entry in entries.items()}

    async def rotate(
        self, scenario: str, fleet: Fleet, pairs: Sequence[tuple[Endpoint, Workload]]
    ) -> dict[tuple[Endpoint, Workload], Entry]:
        """Measure each pair once a round; the order is reversed every other round.

        Nobody is always first that way, and slow drifts of the machine hit all alike.
        """
        entries = {
            (endpoint, workload): Entry(
                scenario=scenario,
                contestant=endpoint.name,
                workload=workload.title,
                samples=[],
                stand_in=endpoint.stand_in,
                note=endpoint.note,
            )
            for endpoint, workload in pairs
            if await self.admit(scenario, fleet, endpoint, workload)
        }
        for endpoint, workload in list(entries):
            with self._excluding(entries, endpoint, workload):
                fleet.focus(endpoint)
                await self.warm(endpoint, workload)
        for number in range(self.options.rounds):
            order = list(entries.items())
            for (endpoint, workload), entry in order if number % 2 == 0 else reversed(order):
                with self._excluding(entries, endpoint, workload):
                    await self.measure(fleet, endpoint, entry, workload, self.options.seconds)
                    self.progress(number, entry)
        self.report.entries += entries.values()
        return entries

    @contextmanager
    def _excluding(
        self,
        entries: dict[tuple[Endpoint, Workload], Entry],
        endpoint: Endpoint,
        workload: Workload,
    ) -> Iterator[None]:
        """A contestant that fails inside is noted and goes; the others stay."""
        try:
            yield
        except BenchError as error:
            entry = entries.pop((endpoint, workload))
            self.absent(entry.scenario, entry.contestant, error)

    async def warm(self, endpoint: Endpoint, workload: Workload) -> None:
        """Load it until it gets no faster: a Java server needs half a minute, others seconds."""
        speeds: list[float] = []
        while len(speeds) * _WARM_SLICE_S < self.options.warm_s and not settled(speeds):
            sample = await self.load(endpoint, workload, min(_WARM_SLICE_S, self.options.warm_s))
            speeds.append(sample.requests_per_s)

    async def measure(
        self,
        fleet: Fleet,
        endpoint: Endpoint,
        entry: Entry,
        workload: Workload,
        seconds: float,
    ) -> None:
        """Add a sample of so many seconds to the entry."""
        fleet.focus(endpoint)
        taken, started = self._taken_by_others(endpoint), time.monotonic()
        entry.samples.append(await self.load(endpoint, workload, seconds))
        share = (self._taken_by_others(endpoint) - taken) / (time.monotonic() - started)
        entry.disturbed_percent = max(entry.disturbed_percent, 100 * share)

    def _taken_by_others(self, endpoint: Endpoint) -> float:
        """Seconds of the servers' core that went to anything but the endpoint's servers."""
        own = [process.cpu_s for server in endpoint.servers for process in members(server)]
        return core_seconds(self.options.server_core) - sum(own)

    async def load(self, endpoint: Endpoint, workload: Workload, seconds: float) -> Sample:
        """One run of the load generator; raises :class:`BenchError` where nothing is answered."""
        name = re.sub(r"[^a-z0-9]+", "-", endpoint.title.lower())
        path = self.place.run_dir / f"{name}-{workload.rows}.txt"
        if not path.exists():
            workload.write(endpoint, path)
        sample = await run_wrk(endpoint.url, path, workload.connections, seconds, workload.rows)
        await asyncio.sleep(_PAUSE_S)
        if sample.requests == 0:
            raise BenchError(f"it answered nothing in {sample.seconds:.0f} s")
        return sample

    def absent(self, scenario: str, contestant: str, error: BenchError) -> None:
        """Note that it was not measured, and why."""
        self.report.absences.append(Absence(scenario, contestant, str(error)))
        self.say(f"{contestant} is not measured: {error}")

    def say(self, words: str) -> None:
        """A line of progress."""
        self.console.print(f"  {words}", markup=False, highlight=False, soft_wrap=True)

    def progress(self, number: int, entry: Entry) -> None:
        """The entry's last sample, taken in the round of that number from 0."""
        sample = entry.samples[-1]
        self.say(
            f"{number + 1}/{self.options.rounds} {entry.contestant:38} {entry.workload:16}"
            f" {sample.requests_per_s:9,.0f} requests/s"
            f"  p50 {sample.p50_ms:7.2f} ms  p99 {sample.p99_ms:7.2f} ms"
            + (f"  {sample.errors} errors" if sample.errors else "")
        )
