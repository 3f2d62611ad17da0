"""Five times as many requests as the gateway can answer, sent whether it answers or not."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from tests.chaos.load import Load, cores, drive
from tests.chaos.models import heavy_model
from tests.chaos.others import TOO_MUCH, Others, give_up
from tests.chaos.plan import Plan, Record, p99_ms, quantile, tally
from tests.chaos.stage import Front, Stage

pytestmark = pytest.mark.alone

BODY = '{"x": 0.25}'
#: A row of matrices this large costs about 8 ms. A batch holds two, so that none waits long for one
#: that has just begun, and what waits may take four rows' time: together a few times what a lone
#: request takes.
SIZE, BATCHING = 576, {"max_batch_size": 2, "max_queue_wait_ms": 30}
OVER, SECONDS = 5, 8.0
#: What is asked of it.
GOODPUT, TAIL, REFUSAL_MS, GROWTH_MB = 0.85, 10, 50, 30


async def highest_rss_mb(front: Front) -> float:
    """The most memory the gateway has, until cancelled."""
    highest = front.rss_mb()
    try:
        while True:
            await asyncio.sleep(0.1)
            highest = max(highest, front.rss_mb())
    except asyncio.CancelledError:
        return highest


def per_second(records: list[Record]) -> float:
    """Requests answered per second of a closed loop."""
    return len(records) / (records[-1].done - records[0].at)


class Measured(NamedTuple):
    """One run: alone, at capacity, and at five times that. ``others`` is the others' share."""

    lone: list[Record]
    closed: list[Record]
    flood: list[Record]
    rate: float
    before_mb: float
    highest_mb: float
    others: float


async def measure(front: Front, core: int | None) -> Measured:
    """Do it all, with the driver on ``core``."""

    def plan(connections: int, seconds: float, rate: float | None = None) -> Plan:
        return Plan(
            urls=[front.url], bodies=[BODY], connections=connections, seconds=seconds, rate=rate
        )

    lone = await drive(plan(1, 3), core)
    # Two are worked on and two wait: never idle, and nothing is refused.
    closed = await drive(plan(4, 3), core)
    rate = OVER * per_second(closed)
    before = front.rss_mb()
    watching = asyncio.create_task(highest_rss_mb(front))
    async with Load(plan(512, SECONDS, rate), core) as load:
        others = Others(front.pid, load.pid)
        await asyncio.sleep(SECONDS - 0.5)
        share = others.share
        flood = await load.finish()
    watching.cancel()
    return Measured(lone, closed, flood, rate, before, await watching, share)


async def test_five_times_the_capacity(stage: Stage) -> None:
    heavy_model(stage.repository, SIZE, BATCHING)
    ours, theirs = cores()
    front = await stage.front(core=ours, onnx_threads=1)
    shares: list[float] = []
    while (seen := await measure(front, theirs)).others > TOO_MUCH:
        shares.append(seen.others)
        if len(shares) == 3:
            give_up(shares)

    assert {record.status for record in (*seen.lone, *seen.closed)} == {200}, tally(seen.closed)
    accepted = [record for record in seen.flood if record.status == 200]
    refused = [record for record in seen.flood if record.status == 503]
    offered, goodput = len(seen.flood) / SECONDS, len(accepted) / SECONDS
    capacity, unloaded = per_second(seen.closed), p99_ms(seen.lone)
    tail, refusal = p99_ms(accepted), p99_ms(refused)
    report = (
        f"capacity {capacity:.0f}/s, offered {offered:.0f}/s, goodput {goodput:.0f}/s "
        f"({goodput / capacity:.0%}); p99 unloaded {unloaded:.1f} ms, accepted {tail:.1f} ms "
        f"({tail / unloaded:.1f}×), refused {refusal:.1f} ms, half of them within "
        f"{quantile((r.latency_s for r in refused), 0.5) * 1000:.1f} ms; {seen.before_mb:.0f} MB "
        f"before, {seen.highest_mb:.0f} MB at most; {tally(seen.flood)}"
    )
    print("overload:", report)
    assert len(accepted) + len(refused) == len(seen.flood), report
    assert {record.problem for record in refused} == {"overloaded"}, report
    assert offered > 0.9 * seen.rate, f"the driver did not keep up: {report}"
    assert goodput >= GOODPUT * capacity, report
    assert tail <= TAIL * unloaded, report
    assert refusal < REFUSAL_MS, report
    assert seen.highest_mb < seen.before_mb + GROWTH_MB, report
