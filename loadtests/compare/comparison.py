"""One comparison, from asking who is there to the document of what was found."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import msgspec

from gateway.models.manifest import Manifest
from gateway.models.repository import ModelVersion
from loadtests import payloads
from loadtests.compare.advice import advise
from loadtests.compare.advice.cases import GATEWAY
from loadtests.compare.contrasts import contrasts
from loadtests.compare.cost import images
from loadtests.compare.cost.cold import first_prediction
from loadtests.compare.cost.meter import usage
from loadtests.compare.cost.servers import Address, Servers
from loadtests.compare.cost.starters import STARTERS
from loadtests.compare.errors import CompareError
from loadtests.compare.locust_runs import locust_runs
from loadtests.compare.options import Options
from loadtests.compare.parity.answers import Ask
from loadtests.compare.parity.asking import GatewayAsk
from loadtests.compare.parity.distance import distance
from loadtests.compare.parity.judge import parity
from loadtests.compare.progress import Watcher
from loadtests.compare.results import Distance, Figure, LocustRun, Machine, Parity, Results, Subject
from loadtests.compare.runners import key_headers, make_runners
from loadtests.compare.speed import Speed
from loadtests.compare.subjects import Offer, pairs


@dataclass
class Comparison:
    """What is compared, and with what.

    ``version`` is the model in the repository the gateway serves, None where that is not at hand:
    then nothing is asked directly, and neither files nor cold starts are measured. ``core`` is the
    load generator's. ``machine`` describes this machine before anything was started.
    """

    offer: Offer
    options: Options
    version: ModelVersion | None
    machine: Machine
    watcher: Watcher
    core: int | None = None
    notes: list[str] = field(default_factory=list)

    async def run(self) -> Results:
        """Measure everything; raises ``CompareError`` where a subject does not answer."""
        started, clock = datetime.now(UTC), time.monotonic()
        offer, options = self.offer, self.options
        self._check_images()
        self.notes += offer.absent
        manifest = offer.manifest
        judged, distances = await self._parity(manifest)
        # Blocking, but nothing is measured yet.
        servers = Servers(self._addresses())
        runners, left_out = await make_runners(offer, options, self.version, servers.families)
        self.notes += left_out
        speed = Speed(runners, options, self.core)
        await speed.measure(self.watcher)
        servers.loaded()
        locust = await self._locust()
        first = await self._cold_starts()
        sizes, builds = await self._images()
        subjects = [runner.subject for runner in runners]
        points = speed.points()
        results = Results(
            started=started.isoformat(timespec="seconds"),
            seconds=0.0,
            model=manifest.name,
            version=offer.version,
            command=" ".join(["gateway", *sys.argv[1:]]),
            machine=self.machine,
            subjects=subjects,
            parity=judged,
            distances=distances,
            points=points,
            contrasts=contrasts(points, self._sides(subjects)),
            servers=[]
            if self.version is None
            else servers.entries(self.version, first, sizes, builds),
            usage=[
                usage(runner.subject.name, runner.spent, runner.subject.stand_in, options.price)
                for runner in runners
            ],
            locust=locust,
            notes=self.notes,
        )
        return msgspec.structs.replace(
            results, advice=advise(results), seconds=time.monotonic() - clock
        )

    async def _parity(self, manifest: Manifest) -> tuple[list[Parity], list[Distance]]:
        subjects = self.offer.subjects
        rows = self._rows(manifest)
        both = pairs(subjects, self.options.candidate)
        total = sum(map(len, rows.values()))
        self.watcher.phase(f"parity: {total:,} rows", max(total * len(both), 1))
        async with aiohttp.ClientSession(headers=key_headers()) as session:
            asks: dict[str, Ask] = {
                subject.name: GatewayAsk(
                    session,
                    self.offer.url,
                    subject,
                    model=manifest.name,
                    version=self.offer.version,
                )
                for subject in subjects
            }
            judged = [
                await parity(
                    reference, candidate, asks, rows, manifest,
                    advance=self.watcher.advance, seed=self.options.seed,
                )
                for reference, candidate in both
            ]  # fmt: skip
            lineages: dict[str, Subject] = {}
            for _, candidate in both:
                lineages[candidate.lineage] = candidate
            for subject in subjects:
                lineages.setdefault(subject.lineage, subject)
            distances = [
                await distance(one, other, asks, rows, manifest)
                for one, other in itertools.combinations(lineages.values(), 2)
            ]
        return judged, distances

    def _rows(self, manifest: Manifest) -> dict[str, Sequence[payloads.Payload]]:
        rows: dict[str, Sequence[payloads.Payload]] = {
            "examples": payloads.examples(manifest),
            "edges": payloads.edges(manifest),
        }
        asked = self.options.rows
        if isinstance(asked, int):
            rows["generated"] = payloads.generated(manifest, asked, self.options.seed)
        else:
            rows["file"] = payloads.from_file(asked, manifest)
        return rows

    def _addresses(self) -> dict[str, Address]:
        addresses = {GATEWAY: Address(self.offer.url)}
        for subject in self.offer.subjects:
            if subject.server is not None:
                addresses[subject.backend] = Address(subject.server, subject.stand_in)
        return addresses

    def _check_images(self) -> None:
        """Raise ``CompareError`` at an image that would have no place in the report."""
        if self.options.images and self.version is None:
            raise CompareError("--image needs the gateway's model repository (--repository)")
        servers = self._addresses()
        for server in self.options.images:
            if server not in servers:
                raise CompareError(
                    f"--image: no server {server!r} is compared; there is: {', '.join(servers)}"
                )

    def _sides(self, subjects: Sequence[Subject]) -> list[tuple[Subject, Subject]]:
        """(candidate, reference), with the reference asked through the gateway and directly."""
        return [
            (candidate, other)
            for reference, candidate in pairs(subjects, self.options.candidate)
            for other in subjects
            if (other.backend, other.lineage) == (reference.backend, reference.lineage)
            and (other is reference or other.direct)
        ]

    async def _locust(self) -> list[LocustRun]:
        options = self.options
        if not options.locust_s:
            return []
        backends = list(dict.fromkeys(subject.backend for subject in self.offer.subjects))
        self.watcher.phase("Locust", len(backends))
        found = []
        for backend in backends:
            found += await locust_runs(
                self.offer.url,
                self.offer.manifest.name,
                [backend],
                options.locust_users,
                options.locust_s,
                "steady",
                self.watcher.say,
            )
            self.watcher.advance()
        return found

    async def _cold_starts(self) -> dict[str, Figure]:
        times = self.options.cold_starts
        names = [name for name in self._addresses() if name in STARTERS]
        if self.version is None:
            self.notes.append(
                "memory, cold starts, what must be installed and direct requests were not measured:"
                " the gateway's model repository is not at hand (--repository)"
            )
            return {}
        if not times:
            self.notes.append("cold starts were not measured")
            return {}
        self.watcher.phase("cold starts", len(names))
        first = {}
        for name in names:
            first[name] = await first_prediction(name, self.version, times)
            self.watcher.advance()
        return first

    async def _images(self) -> tuple[dict[str, Figure], dict[str, Figure]]:
        """Sizes of the servers' images and times to build them, by server."""
        options = self.options
        named = options.images
        if not named:
            return {}, {}
        self.watcher.phase("container images", len(named))
        sizes: dict[str, Figure] = {}
        times: dict[str, Figure] = {}
        for server, image in named.items():
            if server in options.builds:
                sizes[server], times[server] = await asyncio.to_thread(
                    images.build, image, options.builds[server]
                )
            else:
                sizes |= {server: (await asyncio.to_thread(images.sizes, [image]))[image]}
            self.watcher.advance()
        return sizes, times
