"""TorchServe is killed under load: its worker, then its frontend. The real one."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from serving.launch import TorchServe
from tests.chaos.load import Load
from tests.chaos.models import weight_change
from tests.chaos.plan import Plan, Record, p99_ms, tally, unanswered
from tests.chaos.stage import BODIES, Stage, eventually, get, predict

pytestmark = [pytest.mark.java, pytest.mark.alone]

REQUESTS = 20_000
DEADLINE_S, SLACK_S = 2.0, 0.25
#: Seconds after which TorchServe must be used again once it answers, or has begun to restart its
#: worker, which takes it some seconds.
BACK_S = 30


def plan(url: str, backend: str) -> Plan:
    """Load by clients that allow two seconds."""
    return Plan(
        urls=[url],
        path=f"/v1/predict?backend={backend}",
        headers={"X-Request-Timeout-Ms": f"{DEADLINE_S * 1000:.0f}"},
        bodies=BODIES,
        connections=16,
        requests=REQUESTS,
        until_told=True,
        pause_s=0.02,
    )


async def worker_of(server: TorchServe) -> int:
    """The process id of TorchServe's only worker, as its management interface says."""
    ((worker,),) = [
        model["workers"] for model in await get(f"{server.management_url}/models/weight-change")
    ]
    return int(worker["pid"])


async def kill_both(
    stage: Stage, server: TorchServe, returned: Callable[[], Awaitable[bool]]
) -> list[tuple[str, float, float]]:
    """Kill the worker, wait for ``returned``, kill the frontend, start it again, wait again.

    Returns what was killed, when, and how many seconds it took until ``returned``; for the frontend
    from the moment the new one was ready.
    """
    await asyncio.sleep(1.5)
    killed = time.monotonic()
    os.kill(await worker_of(server), signal.SIGKILL)
    back = await eventually(returned, BACK_S, "TorchServe is used again after its worker's death")
    events = [("worker", killed, back)]
    await asyncio.sleep(0.5)
    assert server.pid is not None
    killed = time.monotonic()
    os.kill(server.pid, signal.SIGKILL)
    await server.wait_ended()
    await asyncio.sleep(1)
    await server.stop()  # what the frontend has left behind
    await stage.start(server)
    back = await eventually(returned, BACK_S, "TorchServe is used again after its own death")
    events.append(("frontend", killed, back))
    await asyncio.sleep(1)
    return events


def describe(records: Sequence[Record], events: Sequence[tuple[str, float, float]]) -> str:
    """The numbers, for people."""
    slowest = max(record.latency_s for record in records) * 1000
    back = ", ".join(f"{what} back in use after {back:.1f} s" for what, _, back in events)
    return f"{tally(records)}; p99 {p99_ms(records):.1f} ms, slowest {slowest:.0f} ms; {back}"


async def test_auto_loses_nothing(stage: Stage) -> None:
    weight_change(stage.repository, "onnx", "torchserve")
    stage.write_policy({"default": "torchserve", "fallback": ["onnx"]})
    torchserve = await stage.torchserve()
    front = await stage.front([torchserve])

    async def returned() -> bool:
        status, answer = await predict(front.url, BODIES[0], backend="auto")
        assert status == 200, answer
        return bool(answer["backend"] == "torchserve")

    async with Load(plan(front.url, "auto")) as load:
        events = await kill_both(stage, torchserve, returned)
        records = await load.finish()
    report = describe(records, events)
    print("backend=auto:", report)
    assert len(records) >= REQUESTS, report
    assert not unanswered(records), f"{unanswered(records)[:5]} of {report}"
    for what, killed, _ in events:
        helped = [r for r in records if killed < r.done < killed + 2 and r.backend == "onnx"]
        assert helped, f"nobody felt the death of the {what}: {report}"


async def test_torchserve_fails_in_time_and_returns(stage: Stage) -> None:
    weight_change(stage.repository, "onnx", "torchserve")
    torchserve = await stage.torchserve()
    front = await stage.front([torchserve])

    async def returned() -> bool:
        status, _ = await predict(front.url, BODIES[0], backend="torchserve")
        return status == 200

    async with Load(plan(front.url, "torchserve")) as load:
        events = await kill_both(stage, torchserve, returned)
        records = await load.finish()
    report = describe(records, events)
    print("backend=torchserve:", report)
    failed = unanswered(records)
    known = {"backend-error", "backend-unavailable", "backend-timeout", "overloaded"}
    others = [r for r in failed if r.status not in (502, 503, 504) or r.problem not in known]
    assert not others, f"{others[:5]} of {report}"
    late = [record for record in records if record.latency_s > DEADLINE_S + SLACK_S]
    assert not late, f"{len(late)} after their deadline, like {late[:5]}, of {report}"
    for what, killed, _ in events:
        assert any(killed < r.done < killed + 5 for r in failed), f"{what} not missed: {report}"
    end = max(record.done for record in records)
    last = [record for record in records if record.at > end - 0.5]
    assert last, report
    assert not unanswered(last), f"it still fails: {tally(last)} of {report}"
