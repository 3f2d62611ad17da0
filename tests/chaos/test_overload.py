"""Five times as many requests as the gateway can answer, sent whether it answers or not."""

from __future__ import annotations

import asyncio
from statistics import mean, median, stdev
from typing import NamedTuple

import pytest

from tests.chaos.load import Load, cores, drive
from tests.chaos.models import heavy_model
from tests.chaos.others import TOO_MUCH, Others, give_up
from tests.chaos.plan import Plan, Record, p99_ms, quantile, tally, unanswered
from tests.chaos.stage import Front, Stage

pytestmark = pytest.mark.alone

BODY = '{"x": 0.25}'
#: A row of matrices this large costs about 8 ms. A batch holds two, so that none waits long for one
#: that has just begun, and what waits may take four rows' time: together a few times what a lone
#: request takes.
SIZE, BATCHING = 576, {"max_batch_size": 2, "max_queue_wait_ms": 30}
OVER, SECONDS = 5, 3.0
#: The machine's speed changes from second to second, so the capacity is measured on both sides of
#: each flood, and the goodput of several rounds is known up to its standard error.
ROUNDS, CLOSED_S = 6, 1.5
#: What is asked of it.
GOODPUT, TAIL, REFUSAL_MS, GROWTH_MB = 0.85, 10, 50, 30
#: The share of requests that may be refused below the capacity, and the pause in seconds after one
#: that was: where the machine stands still for a moment in two calls running, the gateway believes
#: until the next that calls have become that slow.
BY_MISTAKE, PAUSE_S = 0.01, 0.01


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
    answered = len(records) - len(unanswered(records))
    return answered / (records[-1].done - records[0].at)


class Round(NamedTuple):
    """One run: alone, at capacity, at five times that, and at capacity again.

    ``others`` is the others' share of the machine during the flood.
    """

    lone: list[Record]
    closed: tuple[list[Record], list[Record]]
    flood: list[Record]
    rate: float
    others: float

    @property
    def capacity(self) -> float:
        """Requests per second when none has to be refused."""
        return sum(per_second(records) for records in self.closed) / 2

    def answered(self, status: int) -> list[Record]:
        """The requests of the flood that got ``status``."""
        return [record for record in self.flood if record.status == status]

    @property
    def goodput(self) -> float:
        """The share of the capacity that is still answered."""
        return len(self.answered(200)) / SECONDS / self.capacity

    @property
    def tail(self) -> float:
        """The accepted ones' p99 in multiples of a lone request's."""
        return p99_ms(self.answered(200)) / p99_ms(self.lone)

    def __str__(self) -> str:
        refused = self.answered(503)
        middle = quantile((record.latency_s for record in refused), 0.5) * 1000
        return (
            f"capacity {self.capacity:.0f}/s, offered {len(self.flood) / SECONDS:.0f}/s, goodput "
            f"{self.goodput:.0%}; p99 unloaded {p99_ms(self.lone):.1f} ms, accepted "
            f"{self.tail:.1f}×, refused {p99_ms(refused):.1f} ms, half of them within "
            f"{middle:.1f} ms; {tally(self.flood)}"
        )


async def measure(front: Front, core: int | None) -> Round:
    """Do it all, with the driver on ``core``."""

    def plan(connections: int, seconds: float, rate: float | None = None) -> Plan:
        return Plan(
            urls=[front.url],
            bodies=[BODY],
            connections=connections,
            seconds=seconds,
            rate=rate,
            pause_s=PAUSE_S,
        )

    lone = await drive(plan(1, 1), core)
    # Two are worked on and two wait: never idle, and nothing is refused.
    before = await drive(plan(4, CLOSED_S), core)
    rate = OVER * per_second(before)
    async with Load(plan(512, SECONDS, rate), core) as load:
        others = Others(front.pid, load.pid)
        await asyncio.sleep(SECONDS - 0.5)
        share = others.share
        flood = await load.finish()
    return Round(lone, (before, await drive(plan(4, CLOSED_S), core)), flood, rate, share)


async def quiet_rounds(front: Front, core: int | None) -> list[Round]:
    """As many as are wanted, without those that others disturbed."""
    quiet: list[Round] = []
    disturbed: list[float] = []
    while len(quiet) < ROUNDS:
        seen = await measure(front, core)
        if seen.others <= TOO_MUCH:
            quiet.append(seen)
        else:
            disturbed.append(seen.others)
            if len(disturbed) == 2 * ROUNDS:
                give_up(disturbed)
    return quiet


async def test_five_times_the_capacity(stage: Stage) -> None:
    heavy_model(stage.repository, SIZE, BATCHING)
    ours, theirs = cores()
    front = await stage.front(core=ours, onnx_threads=1)
    await drive(Plan(urls=[front.url], bodies=[BODY], connections=4, seconds=1), theirs)
    before_mb = front.rss_mb()
    watching = asyncio.create_task(highest_rss_mb(front))
    rounds = await quiet_rounds(front, theirs)
    watching.cancel()
    highest_mb = await watching

    goodputs = [seen.goodput for seen in rounds]
    goodput, error = mean(goodputs), stdev(goodputs) / len(goodputs) ** 0.5
    total = f"goodput {goodput:.0%} ± {error:.0%}; {before_mb:.0f} MB, {highest_mb:.0f} MB at most"
    report = "\n".join([total, *map(str, rounds)])
    print("overload:", report)
    unloaded = [r for seen in rounds for records in (seen.lone, *seen.closed) for r in records]
    assert {(r.status, r.problem) for r in unloaded} <= {(200, ""), (503, "overloaded")}, report
    refused = len(unanswered(unloaded))
    assert refused <= BY_MISTAKE * len(unloaded), f"{tally(unloaded)}; {report}"
    for seen in rounds:
        assert {record.status for record in seen.flood} == {200, 503}, report
        assert {record.problem for record in seen.answered(503)} == {"overloaded"}, report
        assert len(seen.flood) > 0.9 * seen.rate * SECONDS, f"the driver fell behind: {report}"
    assert goodput + 2 * error >= GOODPUT, report
    assert median(seen.tail for seen in rounds) <= TAIL, report
    assert median(p99_ms(seen.answered(503)) for seen in rounds) < REFUSAL_MS, report
    assert highest_mb < before_mb + GROWTH_MB, report
