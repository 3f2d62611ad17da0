"""When latencies begin: nothing that a server's slowness keeps from being sent is left out."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from loadtests.compare.load.load import drive
from loadtests.compare.load.plan import arrivals
from loadtests.compare.load.points import to_round
from loadtests.compare.results import Round
from tests.loadtests.compare.load.conftest import Call, answer, serving

pytestmark = pytest.mark.alone

STALL_S = 0.5


class Stalling:
    """Answers at once, but for ``STALL_S`` in the middle of a run not at all."""

    def __init__(self) -> None:
        self._begun: float | None = None

    def __call__(self, call: Call) -> None:
        now = asyncio.get_running_loop().time()
        self._begun = self._begun or now
        stall = self._begun + 1
        call.say(answer(), after=stall + STALL_S - now if stall < now < stall + STALL_S else 0)


async def test_a_stall_is_in_the_tail_of_the_open_loop_and_hidden_by_a_closed_one() -> None:
    # A fifth of the arrivals fall into the stall; two connections cannot even carry them.
    async def measured(**load: Any) -> Round:
        async with serving(Stalling()) as server:
            return to_round(await drive(server.plan(seconds=2.5, seed=5, **load)))

    wide, narrow, closed = await asyncio.gather(
        measured(rate=200, connections=64),
        measured(rate=200, connections=2),
        measured(connections=2),
    )
    for one in (wide, narrow):
        assert one.errors == {}
        assert one.p50 is not None
        assert one.p90 is not None
        assert one.p99 is not None
        assert one.p50 < 0.1 * STALL_S * 1000
        assert one.p90 > 0.1 * STALL_S * 1000
        assert one.p99 > 0.75 * STALL_S * 1000
    assert closed.p99 is not None
    assert closed.longest is not None
    assert closed.p99 < 0.1 * STALL_S * 1000
    assert closed.longest > 0.9 * STALL_S * 1000


async def test_latencies_count_from_the_intended_time() -> None:
    """The server's clock is the driver's: what it notes must fit intended times and latencies."""
    loop = asyncio.get_running_loop()
    done: list[float] = []

    def slow(call: Call) -> None:
        def end() -> None:
            done.append(loop.time())
            call.say(answer())

        loop.call_later(0.02, end)

    async with serving(slow) as server:
        outcome = await drive(server.plan(rate=42, seconds=2, seed=11))
    meant = arrivals(42, 2, seed=11)
    assert outcome.errors == {}
    assert len(outcome.latencies_ms) == len(meant) == len(done)
    # Over one connection everything stays in order. The beginning is not known to this process, but
    # it was one for all of them.
    begun = np.array(done) - meant - outcome.latencies_ms / 1000
    assert np.median(np.abs(begun - np.median(begun))) < 0.002
    assert np.median(outcome.latencies_ms) > 40  # though each took 20 ms from when it was sent


async def test_an_overloaded_server_is_not_credited_with_what_it_answers_too_late() -> None:
    busy_until = 0.0

    def one_by_one(call: Call) -> None:
        nonlocal busy_until
        now = asyncio.get_running_loop().time()
        busy_until = max(busy_until, now) + 0.01
        call.say(answer(), after=busy_until - now)

    async with serving(one_by_one) as server:
        one = to_round(await drive(server.plan(rate=200, seconds=0.6, connections=64, seed=2)))
    assert one.answered == one.sent > 80  # all in the end
    assert one.requests_per_s < 130


@pytest.mark.parametrize("rate", [50.0, 1000.0])
async def test_waiting_busily_is_no_work(rate: float) -> None:
    async with serving(lambda call: call.say(answer())) as server:
        outcome = await drive(server.plan(rate=rate, seconds=0.5, connections=8))
    assert outcome.errors == {}
    assert 0 < outcome.driver_cpu_s < 0.25


async def test_sending_times_are_kept() -> None:
    loop = asyncio.get_running_loop()
    came: list[float] = []

    def note(call: Call) -> None:
        came.append(loop.time())
        call.say(answer())

    async with serving(note) as server:
        await drive(server.plan(rate=100, seconds=1, connections=8, seed=4))
    late = np.array(came) - arrivals(100, 1, seed=4)
    # The start is not known to this process: what is the same for all of them.
    assert np.median(np.abs(late - np.median(late))) < 0.005
