"""Requests are divided as the policy says, by every process alike, and the policy is followed."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

import pytest

from tests.chaos.load import Load, drive
from tests.chaos.models import weight_change
from tests.chaos.plan import Plan, Record, binomial_interval, tally, unanswered
from tests.chaos.stage import BODIES, Front, Stage, eventually, get

pytestmark = pytest.mark.alone

REQUESTS, SHARE, LEVEL = 20_000, 0.1, 0.999
KEYS, HEADER = 1_000, "X-User-Id"
#: Seconds within which every worker follows a change of the policy.
FOLLOWED_S = 1.0
#: Seconds by which a busy machine may delay that; how often they look, a test of the file counts.
SLACK_S = 1.0
OLD, NEW = "pytorch", "tensorflow"
WEIGHTS = {f"onnx/{OLD}": 90, f"onnx/{NEW}": 10}


def by_lineage(record: Record) -> str:
    return record.lineage


async def gateways(stage: Stage) -> list[Front]:
    """One with two workers, and a second replica; all on the same policy."""
    return [await stage.front(workers=2), await stage.front()]


async def test_ninety_to_ten(stage: Stage) -> None:
    weight_change(stage.repository, "onnx")
    stage.write_policy({"canary": {"weights": WEIGHTS}})
    urls = [front.url for front in await gateways(stage)]
    records = await drive(Plan(urls=urls, bodies=BODIES, connections=16, requests=REQUESTS))
    moved = sum(record.lineage == NEW for record in records)
    low, high = binomial_interval(len(records), SHARE, LEVEL)
    report = (
        f"{tally(records, by_lineage)}: {moved / len(records):.2%} moved; {LEVEL:.1%} of all draws "
        f"of {SHARE:.0%} lie between {low} and {high}"
    )
    print("canary:", report)
    assert len(records) >= REQUESTS, report
    assert not unanswered(records), f"{unanswered(records)[:5]} of {report}"
    assert low <= moved <= high, report


async def test_keys_stick(stage: Stage) -> None:
    weight_change(stage.repository, "onnx")
    stage.write_policy({"canary": {"weights": WEIGHTS, "sticky": HEADER}})
    fronts = await gateways(stage)
    # Connections and keys have no common divisor: each key comes over all of them in time.
    plan = Plan(
        urls=[front.url for front in fronts],
        bodies=BODIES,
        connections=17,
        requests=REQUESTS,
        sticky=HEADER,
        keys=KEYS,
    )
    records = await drive(plan)
    lineages: dict[int, set[str]] = defaultdict(set)
    replicas: dict[int, set[int]] = defaultdict(set)
    for record in records:
        lineages[record.key].add(record.lineage)
        replicas[record.key].add(record.replica)
    flipped = [key for key, seen in lineages.items() if len(seen) > 1]
    moved = sum(NEW in seen for seen in lineages.values())
    low, high = binomial_interval(KEYS, SHARE, LEVEL)
    report = (
        f"{tally(records, by_lineage)}; {KEYS} keys, {len(flipped)} flipped, {moved} moved "
        f"({low} to {high} are likely)"
    )
    print("sticky canary:", report)
    assert not unanswered(records), f"{unanswered(records)[:5]} of {report}"
    assert len(lineages) == KEYS, report
    assert sum(len(seen) > 1 for seen in replicas.values()) > KEYS / 2, report
    assert not flipped, f"{flipped[:10]} of {report}"
    assert low <= moved <= high, report


async def test_every_worker_follows_the_policy(stage: Stage) -> None:
    weight_change(stage.repository, "onnx")
    stage.write_policy({"default": f"onnx/{OLD}"})
    fronts = await gateways(stage)

    async def errors() -> list[str | None]:
        """Why each gateway refuses the file; a connection each, so that both workers are asked."""
        return [
            (await get(f"{front.url}/v1/routing"))["error"] for front in fronts for _ in range(8)
        ]

    plan = Plan(
        urls=[front.url for front in fronts], bodies=BODIES, connections=17, until_told=True
    )
    async with Load(plan) as load:
        await asyncio.sleep(0.5)
        too_much = {f"onnx/{OLD}": 90, f"onnx/{NEW}": 11}
        broken = stage.write_policy({"canary": {"weights": too_much}})

        async def refused() -> bool:
            return all(error is not None and "101" in error for error in await errors())

        noticed = await eventually(refused, 5, f"each says why it refuses: {await errors()}")
        changed = stage.write_policy({"default": f"onnx/{NEW}"})

        async def taken() -> bool:
            return not any(await errors())

        await eventually(taken, 5, f"none complains any longer: {await errors()}")
        await asyncio.sleep(max(changed + FOLLOWED_S + SLACK_S + 1 - time.monotonic(), 0))
        records = await load.finish()
    meanwhile = [record for record in records if broken < record.at < changed]
    last_old = max(record.at for record in records if record.lineage == OLD)
    report = (
        f"{tally(records, by_lineage)}; the last request answered by the old policy was sent "
        f"{last_old - changed:.2f} s after the edit; a broken edit was refused within "
        f"{noticed:.2f} s, {len(meanwhile)} answers meanwhile"
    )
    print("policy edit:", report)
    assert not unanswered(records), f"{unanswered(records)[:5]} of {report}"
    assert meanwhile, report
    assert all(record.lineage == OLD for record in meanwhile), report
    assert last_old > changed - FOLLOWED_S, report
    assert last_old < changed + FOLLOWED_S + SLACK_S, report
