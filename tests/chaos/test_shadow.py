"""A candidate is tried on all requests: callers do not notice, and what it answers is judged."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from math import hypot, pi, sqrt
from statistics import median
from typing import Any

import pytest

from tests.chaos.late import Late
from tests.chaos.load import Load, cores, drive
from tests.chaos.models import heavy_model, payloads, perturb, weight_change
from tests.chaos.others import TOO_MUCH, Others, give_up
from tests.chaos.plan import Plan, Record, p99_ms, tally, unanswered
from tests.chaos.stage import BODIES, Front, Stage, eventually, get

pytestmark = pytest.mark.alone

#: The primary takes about 1 ms, the candidate at least ten times as long.
SIZE, DELAY_S, TIMES_SLOWER = 288, 0.02, 10
#: So many windows without and as many with the shadow, of so many seconds, at so many requests per
#: second. They take turns, and only those count in which other programs leave the machine alone;
#: after so many of each it is given up.
WINDOWS, WINDOW_S, RATE, MOST_WINDOWS = 10, 1.5, 250, 20
#: After so many it is judged already, without any allowance for chance: who passes that, which is
#: harder than to pass in the end, need not wait for the end.
FIRST_WINDOWS = 6
#: Seconds after a switch that do not count: what a change of the policy costs is not asked here.
SETTLE_S = 0.3
#: By how much the callers' p99, the median of the windows', may rise. Windows of one kind differ,
#: too: it has risen by more where that is beyond three times the standard error of the difference.
RISE, ERRORS = 1.10, 3
CANDIDATE = "torchserve/pytorch"
BODY = '{"x": 0.25}'


async def shadow_report(front: Front) -> dict[str, Any] | None:
    """What the gateway says of its only shadow, None where it has none."""
    models: list[dict[str, Any]] = (await get(f"{front.url}/v1/shadow"))["models"]
    return models[0] if models else None


async def switch(stage: Stage, front: Front, on: bool) -> None:
    """Turn the shadow on or off, by the policy, and wait until it is."""
    shadow = {"candidate": "torchserve", "share": 1.0}
    stage.write_policy({"default": "onnx", **({"shadow": shadow} if on else {})}, "heavy")

    async def switched() -> bool:
        return (await shadow_report(front) is not None) == on

    await eventually(switched, 5, f"the shadow is {'on' if on else 'off'}")
    await asyncio.sleep(SETTLE_S)


def hurry(*pids: int | None) -> None:
    """Have other programs wait for these, where that is allowed: a time slice is a p99."""
    for pid in pids:
        assert pid is not None
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, pid, -15)


async def window(*pids: int | None) -> tuple[float, float]:
    """Let a window pass; when it began, and the share of the machine others than ``pids`` took."""
    others, begun = Others(*pids), time.monotonic()
    await asyncio.sleep(WINDOW_S)
    return begun, others.share


@pytest.mark.parametrize("candidate", ["slow", "gone", "frozen"])
async def test_callers_do_not_notice(candidate: str, stage: Stage) -> None:
    """The candidate is a stand-in for TorchServe that answers late, or does not answer."""
    heavy_model(stage.repository, SIZE, {}, "torchserve")
    stage.write_policy({"default": "onnx"}, "heavy")
    ours, theirs = cores()
    late = Late(stage.folder / "late", DELAY_S)
    await stage.start(late, theirs)
    front = await stage.front(
        core=ours, torchserve_url=late.url, torchserve_management_url=late.url
    )
    if candidate == "gone":
        await late.stop()
    elif candidate == "frozen":
        assert late.pid is not None
        os.killpg(late.pid, signal.SIGSTOP)

    tails: dict[bool, list[float]] = {False: [], True: []}
    shares: list[float] = []
    records: list[Record] = []
    last: dict[str, Any] = {}
    for windows in (FIRST_WINDOWS, WINDOWS - FIRST_WINDOWS):
        last = await take_turns(stage, front, late, windows, tails, shares, records)
        before, after = median(tails[False]), median(tails[True])
        if after <= before * RISE:
            break
    error = hypot(*(error_of_median(tails[on]) for on in tails))
    counts, latency = last["requests"], last["latency_ms"]
    report = (
        f"callers' p99 {before:.2f} ms without, {after:.2f} ms with the shadow "
        f"({after / before - 1:+.1%}), standard error of the difference {error:.2f} ms, in "
        f"2 × {len(tails[True])} quiet windows of {len(shares)}; {tally(records)}; in the last "
        f"window {counts}, {latency}, {last['last_error']}"
    )
    print(f"shadowing a {candidate} candidate:", report)
    assert not unanswered(records), f"{unanswered(records)[:5]} of {report}"
    assert counts["offered"] > 0.9 * WINDOW_S * RATE, report
    if candidate == "slow":
        slower = latency["candidate"]["p50"] / latency["primary"]["p50"]
        assert counts["compared"] > 0, report
        assert slower >= TIMES_SLOWER, report
    else:
        assert counts["compared"] == 0, report
        assert counts["failed"] + counts["dropped"] + counts["waiting"] > 0, report
    assert after <= before * RISE + ERRORS * error, report


async def take_turns(
    stage: Stage,
    front: Front,
    late: Late,
    count: int,
    tails: dict[bool, list[float]],
    shares: list[float],
    records: list[Record],
) -> dict[str, Any]:
    """Add the tails of so many quiet windows, of all windows the shares of others, and all records.

    Returns what the gateway said last of its shadow.
    """
    plan = Plan(
        urls=[front.url],
        bodies=[BODY],
        connections=64,
        rate=RATE,
        period_s=WINDOW_S,  # the same load in every window: no luck in a p99 but the machine's
        until_told=True,
    )
    windows: dict[bool, list[float]] = {False: [], True: []}
    last: dict[str, Any] = {}
    async with Load(plan, cores()[1]) as load:
        hurry(front.pid, load.pid)
        await asyncio.sleep(1)  # whatever comes first is slow
        on = False
        while min(map(len, windows.values())) < count:
            if len(shares) == 2 * MOST_WINDOWS:
                give_up(shares)
            await switch(stage, front, on)
            begun, share = await window(front.pid, late.pid, load.pid)
            shares.append(share)
            if share < TOO_MUCH:
                windows[on].append(begun)
            last = await shadow_report(front) or last
            on = not on
        found = await load.finish()
    for on in windows:
        tails[on] += [tail_ms(found, begun) for begun in windows[on][:count]]
    records += found
    return last


def tail_ms(records: list[Record], begun: float) -> float:
    """The p99 of the requests that were due in a window."""
    return p99_ms(r for r in records if begun <= r.at < begun + WINDOW_S)


def error_of_median(values: list[float]) -> float:
    """Its standard error, were they normally distributed but for outliers.

    1.4826 times the median absolute deviation is their standard deviation then, and √(π/2) times
    the mean's standard error is the median's.
    """
    centre = median(values)
    deviation = 1.4826 * median(abs(value - centre) for value in values)
    return sqrt(pi / 2) * deviation / sqrt(len(values))


async def judge(front: Front, requests: int) -> dict[str, Any]:
    """Send that many requests; the report once all that was copied has been compared."""
    records = await drive(Plan(urls=[front.url], bodies=BODIES, connections=4, requests=requests))
    assert not unanswered(records), unanswered(records)[:5]
    last: dict[str, Any] = {}

    async def compared() -> bool:
        nonlocal last
        last = await shadow_report(front) or {}
        return bool(last["requests"]["waiting"] == 0)

    await eventually(compared, 20, "all copies are compared")
    shown = {name: last[name] for name in ("requests", "agreement", "interval", "last_error")}
    print(f"{last['candidate']}: {shown}; largest difference: {last['largest_difference']}")
    return last


async def test_slightly_wrong_weights_disagree(stage: Stage) -> None:
    lineages = {"pytorch": "pytorch.onnx", "candidate": "candidate.onnx"}
    folder = weight_change(stage.repository, "onnx", onnx_lineages=lineages)
    perturb(folder / "pytorch.onnx", folder / "candidate.onnx", 1.01)
    shadow = {"candidate": "onnx/candidate", "share": 1.0}
    stage.write_policy({"default": "onnx/pytorch", "shadow": shadow})
    report = await judge(await stage.front(), 2_000)
    assert report["rows_compared"] >= 100, report
    assert report["interval"][1] < 0.9, report
    largest = report["largest_difference"]
    assert largest["difference"] > report["tolerance"], report
    assert largest["payload"] in payloads(len(BODIES)), report


@pytest.mark.java
async def test_the_right_weights_agree(stage: Stage) -> None:
    weight_change(stage.repository, "onnx", "torchserve")
    shadow = {"candidate": CANDIDATE, "share": 1.0}
    stage.write_policy({"default": "onnx/pytorch", "shadow": shadow})
    torchserve = await stage.torchserve()
    report = await judge(await stage.front([torchserve]), 2_000)
    assert report["candidate"]["backend"] == "torchserve", report
    assert report["rows_compared"] >= 100, report
    assert report["agreement"] == 1.0, report
    assert report["requests"]["failed"] == 0, report
    assert report["interval"][0] > 0.95, report
