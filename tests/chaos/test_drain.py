"""A gateway is told to stop under load, and another one takes over: a rolling restart."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from tests.chaos.load import Load
from tests.chaos.models import weight_change
from tests.chaos.plan import Plan, p99_ms, tally, unanswered
from tests.chaos.stage import BODIES, Stage

pytestmark = pytest.mark.alone

#: Seconds the gateways go on serving once they have said that they are not ready; a client looks
#: every 50 ms.
GRACE_S = 1.0


async def test_a_rolling_restart_loses_nothing(stage: Stage) -> None:
    weight_change(stage.repository, "onnx")
    fronts = [await stage.front(drain_grace_s=GRACE_S, workers=count) for count in (1, 2)]
    plan = Plan(
        urls=[front.url for front in fronts],
        bodies=BODIES,
        connections=16,
        follow=True,
        until_told=True,
    )
    told, took = [], []
    async with Load(plan) as load:
        await asyncio.sleep(1)
        for front in fronts:
            assert front.pid is not None
            told.append(time.monotonic())
            os.kill(front.pid, signal.SIGTERM)
            await asyncio.wait_for(front.wait_ended(), GRACE_S + 10)
            took.append(time.monotonic() - told[-1])
            assert front.ending() == "ended with code 0", front.tail()
            await asyncio.sleep(0.3)
            await stage.start(front)
            await asyncio.sleep(1)
        records = await load.finish()
    in_drain = [
        sum(
            told[n] < record.done and record.replica == n
            for record in records
            if record.at < told[n] + GRACE_S
        )
        for n in range(2)
    ]
    report = (
        f"{tally(records, lambda r: f'by gateway {r.replica}')}; p99 {p99_ms(records):.1f} ms; "
        f"ended {took[0]:.2f} and {took[1]:.2f} s after SIGTERM, having answered {in_drain} more"
    )
    print("rolling restart:", report)
    assert not unanswered(records), f"{unanswered(records)[:5]} of {report}"
    assert min(in_drain) > 0, report
    for number, moment in enumerate(told):
        other = [r for r in records if moment + 0.5 < r.at < moment + GRACE_S]
        assert other, report
        assert all(r.replica != number for r in other), (
            f"told to stop, it was still ready: {report}"
        )
