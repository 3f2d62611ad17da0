"""The breaker against a simulated clock: no test waits for a pause to pass."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BackendUnavailable
from gateway.routing.breaker import JITTER, MIN_RETRY_AFTER_S, Breaker, BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    """Time that passes only when told to, and wakes who sleeps at exactly their time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        await settle()
        while due := [entry for entry in self._sleepers if entry[0] <= end]:
            entry = min(due, key=lambda entry: entry[0])
            self._sleepers.remove(entry)
            self.now = entry[0]
            if not entry[1].done():
                entry[1].set_result(None)
            await settle()
        self.now = end


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


class Server:
    """What is probed; ``gate`` holds a probe up until it is set."""

    def __init__(self) -> None:
        self.up = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.probes = 0

    async def probe(self) -> bool:
        self.probes += 1
        await self.gate.wait()
        return self.up


class World:
    """A breaker, its clock and server, and each change with the time it came at."""

    def __init__(self, failures_to_open: int = 5, probe_timeout_s: float = 5.0) -> None:
        self.clock = Clock()
        self.server = Server()
        self.changes: list[tuple[BreakerState, float]] = []
        self.breaker = Breaker(
            self.server.probe,
            failures_to_open=failures_to_open,
            probe_timeout_s=probe_timeout_s,
            on_change=lambda state: self.changes.append((state, self.clock.now)),
            clock=self.clock.time,
            sleep=self.clock.sleep,
        )

    def fail(self, times: int, sent_at: float | None = None) -> None:
        for _ in range(times):
            self.breaker.failed(sent_at)


#: Results of calls, what becomes of probes, and seconds that pass.
EVENTS: list[str | float] = ["good", *["bad"] * 5, "up", "down", "hold", "release", 0.3, 2.0, 40.0]


@settings(max_examples=80)
@given(limit=st.integers(1, 4), events=st.lists(st.sampled_from(EVENTS), min_size=80, max_size=80))
async def test_any_interleaving_obeys_the_rules(limit: int, events: list[str | float]) -> None:
    world = World(failures_to_open=limit)
    breaker, in_a_row = world.breaker, 0
    for event in events:
        before = breaker.state
        if event == "good":
            breaker.succeeded()
            in_a_row = 0
        elif event == "bad":
            breaker.failed()
            in_a_row = in_a_row + 1 if before is CLOSED else 0
            assert breaker.state is (OPEN if in_a_row == limit else before)
        elif isinstance(event, float):
            await world.clock.advance(event)
        elif event == "hold":
            world.server.gate.clear()
        elif event == "release":
            world.server.gate.set()
            await settle()
        else:
            world.server.up = event == "up"
        if event in ("good", "up", "down", "hold"):
            assert breaker.state is before
        if breaker.state is not before:
            in_a_row = 0
        assert breaker.allow() is (breaker.state is CLOSED)
        if breaker.allow():
            assert breaker.retry_after_s == 0
        else:
            assert MIN_RETRY_AFTER_S <= breaker.retry_after_s <= 30 * (1 + JITTER)
    await breaker.close()
    check_pauses(world.changes)


def check_pauses(changes: list[tuple[BreakerState, float]]) -> None:
    """Every pause ends in a probe, and doubles from 1 s to 30 s until a probe succeeds."""
    previous, opened, pause = CLOSED, 0.0, 1.0
    for state, at in changes:
        if state is OPEN:
            assert previous in (CLOSED, HALF_OPEN)
            pause = 1.0 if previous is CLOSED else min(pause * 2, 30.0)
            opened = at
        elif state is HALF_OPEN:
            assert previous is OPEN
            assert pause * (1 - JITTER) - 1e-9 <= at - opened <= pause * (1 + JITTER) + 1e-9
        else:
            assert previous is HALF_OPEN
        previous = state


async def test_it_probes_by_itself_until_the_target_is_back() -> None:
    world = World()
    world.fail(5)
    await world.clock.advance(120)
    assert world.breaker.state is OPEN
    assert 5 <= world.server.probes <= 10
    world.server.up = True
    await world.clock.advance(36)
    assert world.breaker.state is CLOSED
    check_pauses(world.changes)
    world.fail(4)
    assert world.breaker.state is CLOSED
    world.fail(1)  # the next outage begins with a short pause again
    assert world.breaker.retry_after_s <= 1 + JITTER
    await world.breaker.close()


async def test_replicas_do_not_probe_in_step() -> None:
    worlds = [World(1) for _ in range(20)]
    for world in worlds:
        world.fail(1)
    assert len({world.breaker.retry_after_s for world in worlds}) == 20
    for world in worlds:
        await world.breaker.close()


async def test_late_results_neither_close_nor_lengthen() -> None:
    world = World()
    world.server.gate.clear()
    world.fail(5)
    planned = world.breaker.retry_after_s
    await world.clock.advance(planned / 2)
    world.fail(50)
    world.breaker.succeeded()
    assert world.breaker.state is OPEN
    assert world.breaker.retry_after_s == pytest.approx(planned / 2)
    await world.clock.advance(planned / 2 + 1e-6)
    assert world.breaker.state is HALF_OPEN
    world.breaker.succeeded()
    world.fail(50)
    assert world.breaker.state is HALF_OPEN
    assert not world.breaker.allow()
    world.server.up = True
    world.server.gate.set()
    await settle()
    assert world.breaker.state is CLOSED


async def test_failures_sent_before_it_closed_do_not_open_it_again() -> None:
    world = World()
    sent_at = world.clock.now
    world.fail(5, sent_at)
    world.server.up = True
    await world.clock.advance(5)
    world.fail(50, sent_at)
    assert world.breaker.state is CLOSED
    world.fail(5, world.clock.now)
    assert world.breaker.state is OPEN
    await world.breaker.close()


@pytest.mark.parametrize("error", [BackendUnavailable("onnx", "gone"), RuntimeError("a bug")])
async def test_a_probe_that_raises_has_failed(error: Exception) -> None:
    async def probe() -> bool:
        raise error

    clock = Clock()
    breaker = Breaker(probe, failures_to_open=1, clock=clock.time, sleep=clock.sleep)
    breaker.failed()
    await clock.advance(1.5)
    assert breaker.state is OPEN
    assert breaker.retry_after_s > 1 - JITTER
    await breaker.close()


async def test_a_probe_that_hangs_has_failed() -> None:
    world = World(1, probe_timeout_s=0.01)
    world.server.gate.clear()
    world.fail(1)
    await world.clock.advance(1.5)
    assert world.breaker.state is HALF_OPEN
    await asyncio.sleep(0.03)
    assert world.breaker.state is OPEN
    await world.breaker.close()


async def test_a_broken_listener_does_not_keep_it_open() -> None:
    def listener(state: BreakerState) -> None:
        raise RuntimeError(state)

    server, clock = Server(), Clock()
    server.up = True
    breaker = Breaker(
        server.probe, failures_to_open=1, on_change=listener, clock=clock.time, sleep=clock.sleep
    )
    breaker.failed()
    await clock.advance(2)
    assert breaker.allow()


async def test_closing_ends_the_task_for_good() -> None:
    world = World(1)
    world.fail(1)
    await settle()
    await world.breaker.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await world.clock.advance(100)
    assert world.server.probes == 0

    idle = World(1)
    await idle.breaker.close()
    idle.fail(1)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert math.isclose(idle.breaker.retry_after_s, 0)


async def test_it_works_on_the_real_clock() -> None:
    server, changes = Server(), asyncio.Queue[BreakerState]()
    server.up = True
    breaker = Breaker(server.probe, failures_to_open=1, open_s=0.01, on_change=changes.put_nowait)
    breaker.failed()
    async with asyncio.timeout(2):
        assert [await changes.get() for _ in range(3)] == [OPEN, HALF_OPEN, CLOSED]
    assert breaker.allow()
