from __future__ import annotations

import asyncio
import os

import pytest

from loadtests.compare.errors import CompareError
from loadtests.compare.load.load import drive
from tests.loadtests.compare.load.conftest import Call, answer, serving


async def test_the_driver_is_killed_when_cancelled() -> None:
    asked = asyncio.Event()

    def note(call: Call) -> None:
        asked.set()
        call.say(answer(), after=0.01)

    async with serving(note) as server:
        load = asyncio.create_task(drive(server.plan(seconds=100)))
        await asked.wait()
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        async with asyncio.timeout(5):
            while server.open:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin")
async def test_the_driver_runs_on_its_core() -> None:
    core = max(os.sched_getaffinity(0))
    ours = os.sched_getaffinity(0)
    others = set(children())  # of other tests
    seen: set[frozenset[int]] = set()

    def note(call: Call) -> None:
        drivers = set(children()) - others
        seen.update(frozenset(os.sched_getaffinity(pid)) for pid in drivers)
        call.say(answer(), after=0.05)

    async with serving(note) as server:
        await drive(server.plan(), core)
    assert seen == {frozenset({core})}
    assert os.sched_getaffinity(0) == ours


async def test_a_core_that_is_not_there() -> None:
    async with serving(lambda call: call.say(answer())) as server:
        with pytest.raises(CompareError, match="cannot be started"):
            await drive(server.plan(), core=100_000)


async def test_a_driver_that_fails_says_why() -> None:
    async with serving(lambda call: call.say(answer())) as server:
        plan = server.plan()
        plan.connections = 0
        with pytest.raises(CompareError, match="at least one connection"):
            await drive(plan)


def children() -> list[int]:
    """The ids of this process' children."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]
