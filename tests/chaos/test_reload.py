"""New versions appear under load, ten of them, one broken: nothing is lost, mixed or kept."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.chaos.load import Load
from tests.chaos.models import publish, stamped_model
from tests.chaos.plan import Plan, p99_ms, tally, unanswered
from tests.chaos.stage import Stage, eventually, get, predict

pytestmark = pytest.mark.alone

#: Versions whose coming warms everything up before the memory is measured.
WARM_UP = (2, 3, 4)
RELOADS = range(5, 15)
BROKEN = 9
#: What the memory may have grown by, and the seconds it has for that.
GROWTH_MB, SETTLE_S = 10.0, 10
ROW = '{"place": 7}'
#: Three rows, so that an answer could be mixed.
BODY = '{"instances": [{"place": 0}, {"place": 7}, {"place": 1999999}]}'


async def test_ten_reloads_under_load(stage: Stage) -> None:
    folder = stamped_model(stage.repository)
    front = await stage.front()

    async def take_over(version: int) -> float:
        """Publish a version and wait until it answers; returns the seconds that took."""

        async def answers() -> bool:
            status, answer = await predict(front.url, ROW)
            assert status == 200, answer
            return bool(answer["version"] == str(version))

        await asyncio.to_thread(publish, folder, version)
        return await eventually(answers, 10, f"version {version} answers")

    async def refuse(version: int) -> str:
        """Publish a broken version and wait until the gateway says why it is not served."""
        reason = ""

        async def refused() -> bool:
            nonlocal reason
            failures = (await get(f"{front.url}/v1/models"))["failures"]
            reason = failures.get(f"stamped/{version}", "")
            return bool(reason)

        await asyncio.to_thread(publish, folder, version, True)
        await eventually(refused, 10, f"version {version} is listed as a failure")
        return reason

    plan = Plan(urls=[front.url], bodies=[BODY], connections=8, until_told=True)
    async with Load(plan) as load:
        for version in WARM_UP:
            await take_over(version)
        await asyncio.sleep(1)
        before = front.rss_mb()
        took, highest = [], before
        for version in RELOADS:
            if version == BROKEN:
                reason = await refuse(version)
            else:
                took.append(await take_over(version))
            highest = max(highest, front.rss_mb())
        status, pinned = await predict(front.url, ROW, version=str(RELOADS[-2]))
        for _ in range(SETTLE_S):
            if (after := front.rss_mb()) <= before + GROWTH_MB:
                break
            await asyncio.sleep(1)
        records = await load.finish()
    versions = Counter(record.version for record in records)
    report = (
        f"{tally(records)}; p99 {p99_ms(records):.1f} ms; {len(versions)} versions answered; a new "
        f"one took over after {max(took):.2f} s at most; {before:.1f} MB before, {highest:.1f} MB "
        f"at most, {after:.1f} MB after; the broken one: {reason}"
    )
    print("ten reloads:", report)
    assert not unanswered(records), f"{unanswered(records)[:5]} of {report}"
    mixed = [r for r in records if r.values != [float(r.version)] * 3]
    assert not mixed, f"{mixed[:5]} of {report}"
    assert set(versions) >= {str(version) for version in RELOADS if version != BROKEN}, report
    assert str(BROKEN) not in versions, report
    assert "stamped.onnx" in reason, report
    assert (status, pinned.get("version")) == (200, str(RELOADS[-2])), pinned
    assert after <= before + GROWTH_MB, report
