"""One row a request, ONNX Runtime in every server's own process."""

from __future__ import annotations

from loadtests.bench.bench import Bench
from loadtests.bench.compare import P50, best, compare
from loadtests.bench.opponents import (
    bentoml,
    fastapi,
    floor,
    gateway,
    litserve,
    mlserver,
    triton,
)
from loadtests.bench.report import Finding, Target

_BUSY = 64


async def busy(bench: Bench) -> list[Finding]:
    """Requests per second at 64 connections."""
    name = "onnx-64"
    place = bench.place
    ours, bare = gateway.endpoint(place), floor.endpoint(place)
    usual = fastapi.endpoints(place)
    servers = [part.endpoint(place) for part in (litserve, bentoml, mlserver, triton)]
    async with bench.fleet() as fleet:
        contestants = [ours, bare, *usual, *servers]
        entries = await bench.compete(name, fleet, contestants, bench.workload(_BUSY))
    mine = entries.get(ours)
    what = f"backend=onnx, {_BUSY} connections: requests/s ÷"
    fastest = best([entries[one] for one in usual if one in entries])
    rival = best([entries[one] for one in servers if one in entries])
    absent = [one.title for one in servers if one not in entries]
    remark = f"without {', '.join(absent)}" if absent else ""
    return [
        compare(f"{what} FastAPI + ONNX Runtime", name, mine, fastest, Target("≥", 5)),
        compare(
            f"{what} the best of LitServe, BentoML, MLServer, Triton",
            name,
            mine,
            rival,
            Target("≥", 2),
            remark=remark,
        ),
        compare(f"{what} bare aiohttp handler", name, mine, entries.get(bare), Target("≥", 0.9)),
    ]


async def lone(bench: Bench) -> list[Finding]:
    """Median latency of one connection."""
    name = "onnx-1"
    ours, bare = gateway.endpoint(bench.place), floor.endpoint(bench.place)
    async with bench.fleet() as fleet:
        entries = await bench.compete(name, fleet, [ours, bare], bench.workload(1))
    what = "backend=onnx, 1 connection: p50 ÷ bare aiohttp handler's"
    mine, theirs = entries.get(ours), entries.get(bare)
    return [compare(what, name, mine, theirs, Target("≤", 1.5), P50)]
