"""Memory of one worker between the first requests and many more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from loadtests.bench.bench import Bench
from loadtests.bench.cores import rss_mb
from loadtests.bench.endpoint import Endpoint
from loadtests.bench.fleet import members
from loadtests.bench.opponents import gateway
from loadtests.bench.report import Finding, Target
from loadtests.bench.samples import Sample
from loadtests.bench.workload import Workload
from serving.spread import Spread

_CONNECTIONS = 64
_FIRST, _LAST = 50_000, 500_000
_QUICK = 10
#: A run of the load generator is this long at most, so that the count is met closely.
_SLICE_S = 10
_SETTLE_S = 1


async def memory(bench: Bench) -> list[Finding]:
    """Resident memory after 500,000 requests less that after 50,000; a tenth of both if quick.

    Not warmed up: every request the worker has ever answered counts.
    """
    name = "memory"
    part = _QUICK if bench.options.quick else 1
    ours = gateway.endpoint(bench.place)
    workload = bench.workload(_CONNECTIONS)
    sizes: list[float] = []
    counts: list[int] = []
    errors = 0
    async with bench.fleet() as fleet:
        admitted = await bench.admit(name, fleet, ours, workload)
        for goal in (_FIRST // part, _LAST // part) if admitted else ():
            done = counts[-1] if counts else 0
            samples = await _reach(bench, ours, workload, goal - done)
            counts.append(done + sum(sample.requests for sample in samples))
            errors += sum(sample.errors for sample in samples)
            await asyncio.sleep(_SETTLE_S)
            sizes.append(rss_mb(members(ours.server)))
            bench.say(f"{counts[-1]:,} requests: {sizes[-1]:.1f} MB")
    measured = len(sizes) == 2
    after = " − after ".join(f"{count:,}" for count in reversed(counts))
    return [
        Finding(
            scenario=name,
            what=f"RSS of one worker after {after or f'{_LAST:,}'} requests",
            target=Target("≤", 5, "MB"),
            figure=Spread.of([sizes[1] - sizes[0]]) if measured else None,
            unit="MB",
            ours=Spread.of(sizes[1:]) if measured else None,
            theirs=Spread.of(sizes[:1]) if measured else None,
            opponent="itself, earlier",
            errors=errors,
            remark="" if measured else "not measured",
        )
    ]


async def _reach(bench: Bench, endpoint: Endpoint, workload: Workload, count: int) -> list[Sample]:
    """Load it until it has answered ``count`` requests or a few more."""
    samples: list[Sample] = []
    done: Callable[[], int] = lambda: sum(sample.requests for sample in samples)  # noqa: E731
    while done() < count:
        left = (count - done()) / samples[-1].requests_per_s if samples else 1
        samples.append(await bench.load(endpoint, workload, min(_SLICE_S, left)))
    return samples
