"""Which loads are put on whom, in which order; the load generator is replaced."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest

from loadtests.compare import speed
from loadtests.compare.cost.meter import Meter, Spent
from loadtests.compare.load.plan import Outcome, Plan
from loadtests.compare.options import Options
from loadtests.compare.progress import Silent
from loadtests.compare.results import Subject
from loadtests.compare.speed import Load, Runner, Speed


@dataclass
class Machine:
    """Answers every plan, by the subject's port, as fast as was given; keeps the plans."""

    capacity: dict[int, float]
    plans: list[Plan] = field(default_factory=list)
    cores: set[int | None] = field(default_factory=set)

    async def drive(self, plan: Plan, core: int | None = None) -> Outcome:
        self.plans.append(plan)
        self.cores.add(core)
        per_second = plan.rate or self.capacity[plan.port]
        count = round(per_second * plan.seconds)
        return Outcome(
            packed=np.full(count, 2.5).tobytes(),
            errors={},
            sent=count,
            in_window=count,
            seconds=plan.seconds,
            driver_cpu_s=0.0,
        )


class Counting(Meter):
    """Notes for how many predictions it was asked."""

    def __init__(self) -> None:
        super().__init__({})
        self.readings = 0
        self.predictions: list[int] = []

    def read(self) -> dict[str, float | None]:
        self.readings += 1
        return {}

    def spent(self, before: Any, predictions: int) -> Spent:
        self.predictions.append(predictions)
        return super().spent(before, predictions)


def runners(capacity: dict[int, float], batches: tuple[int, ...] = ()) -> list[Runner]:
    return [
        Runner(
            Subject(name=f"s{port}", backend=f"s{port}", lineage="x"),
            f"http://127.0.0.1:{port}",
            {rows: [f"{port}/{rows}".encode()] for rows in (1, *batches)},
            Counting(),
        )
        for port in capacity
    ]


async def measured(
    monkeypatch: pytest.MonkeyPatch,
    capacity: dict[int, float],
    core: int | None = None,
    **given: Any,
) -> tuple[Machine, Speed, list[Runner]]:
    machine = Machine(capacity)
    monkeypatch.setattr(speed, "drive", machine.drive)
    options = Options(**({"batches": (), "rates": ()} | given))
    some = runners(capacity, options.batches)
    measuring = Speed(some, options, core)
    await measuring.measure(Silent())
    return machine, measuring, some


def rates(found: dict[str, list[Load]]) -> dict[str, list[float | None]]:
    return {name: [load.rate for load in loads] for name, loads in found.items()}


async def test_rates_are_shares_of_the_slowest_and_more_for_the_fast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, measuring, _ = await measured(monkeypatch, {1: 400.0, 2: 4000.0}, clients=(1, 8), rates=None)
    assert rates(measuring.rates()) == {
        "s1": [100, 200, 300],
        # A quarter, a half and three quarters of its own, too; none twice.
        "s2": [100, 200, 300, 1000, 2000, 3000],
    }
    for loads in measuring.rates().values():
        assert {(load.shape, load.connections, load.rows) for load in loads} == {("open", 256, 1)}


async def test_nobody_is_asked_for_more_than_it_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    _, measuring, _ = await measured(
        monkeypatch, {1: 400.0, 2: 850.0, 3: 610.0}, clients=(8,), rates=None
    )
    # Of the fastest's, 210 is below what the slowest can do, 420 beyond; 640 only it can bear.
    assert rates(measuring.rates()) == {
        "s1": [100, 200, 300],
        "s2": [100, 200, 300, 420, 640],
        "s3": [100, 200, 300, 420],
    }


async def test_one_just_beyond_the_slowest_is_not_asked_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 0.75 of 560 is 420: more than 400, and more than 0.85 of it.
    _, measuring, _ = await measured(monkeypatch, {1: 400.0, 2: 560.0}, clients=(8,), rates=None)
    assert rates(measuring.rates()) == {"s1": [100, 200, 300], "s2": [100, 200, 300, 420]}


async def test_rates_that_are_given_are_asked_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, measuring, _ = await measured(
        monkeypatch, {1: 40.0, 2: 4000.0}, clients=(8,), rates=(123.4, 500, 501), rounds=2
    )
    # To two significant digits, so that 500 and 501 are one.
    assert rates(measuring.rates()) == {"s1": [120, 500], "s2": [120, 500]}
    asked = Counter((plan.port, plan.rate) for plan in machine.plans if plan.rate is not None)
    assert asked == {(port, rate): 2 for port in (1, 2) for rate in (120, 500)}


@pytest.mark.parametrize("count", [2, 3, 4])
async def test_the_order_alternates(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = list(range(1, count + 1))
    machine, _, _ = await measured(
        monkeypatch, dict.fromkeys(ports, 100.0), clients=(4,), rounds=2 * count
    )
    asked = [plan.port for plan in machine.plans]
    assert asked[:count] == ports  # the first warm-up
    rounds = [asked[start : start + count] for start in range(count, len(asked), count)]
    assert len(rounds) == 2 * count
    assert all(sorted(order) == ports for order in rounds)
    # Each is equally often at every place, and each pair equally often in either order.
    for place in range(count):
        assert Counter(order[place] for order in rounds) == dict.fromkeys(ports, 2)
    for one in ports:
        for other in set(ports) - {one}:
            assert sum(order.index(one) < order.index(other) for order in rounds) == count


async def test_loads_alternate_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, _, _ = await measured(
        monkeypatch, {1: 100.0, 2: 100.0}, clients=(1, 8), batches=(32,), rounds=1
    )
    assert [(plan.port, plan.connections, plan.requests) for plan in machine.plans[2:]] == [
        (port, connections, [f"{port}/{rows}".encode()])
        for connections, rows in ((1, 1), (8, 1), (1, 32))
        for port in (1, 2)
    ]


async def test_of_the_metered_load_nothing_is_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, _, some = await measured(
        monkeypatch, {1: 100.0}, clients=(1, 64, 8), batches=(128,), rates=(50,), rounds=3,
        seconds=2.0,
    )  # fmt: skip
    first, *others = machine.plans
    assert (first.connections, first.seconds, first.warmup_s) == (64, 1.0, 0.0)
    for plan in others:
        assert plan.seconds == 2.0
        assert (plan.warmup_s == 0.0) == (plan.connections == 64)
        assert plan.give_up_s == 10.0
    (runner,) = some
    assert isinstance(runner.meter, Counting)
    # What is read before and after is the load of the most clients: 200 answers in each round.
    assert runner.meter.predictions == [200, 200, 200]
    assert runner.meter.readings == 2 * 3
    assert [spent.predictions for spent in runner.spent] == [200, 200, 200]


async def test_every_round_has_its_own_arrivals_and_all_subjects_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine, _, _ = await measured(
        monkeypatch, {1: 100.0, 2: 100.0}, clients=(4,), rates=(50,), rounds=3, seed=7
    )
    seeds: dict[int, list[int]] = {1: [], 2: []}
    for plan in machine.plans:
        if plan.rate is not None:
            seeds[plan.port].append(plan.seed)
    assert seeds == {1: [7, 8, 9], 2: [7, 8, 9]}


async def test_points(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, measuring, _ = await measured(
        monkeypatch, {1: 100.0, 2: 200.0}, core=1, clients=(1, 4), batches=(32,), rates=(50,),
        rounds=2,
    )  # fmt: skip
    assert machine.cores == {1}
    points = measuring.points()
    assert [(p.subject, p.shape, p.connections, p.rate, p.rows) for p in points] == [
        (subject, *load)
        for load in (
            ("closed", 1, None, 1),
            ("closed", 4, None, 1),
            ("batch", 1, None, 32),
            ("open", 256, 50, 1),
        )
        for subject in ("s1", "s2")
    ]
    assert all(len(point.rounds) == 2 for point in points)
    assert [point.requests_per_s.value for point in points[:2]] == [100, 200]
    ids = [figure.id for point in points for figure in (point.p50, point.p99)]
    assert len(set(ids)) == len(ids)


async def test_a_stand_in_marks_its_points(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine({1: 100.0})
    monkeypatch.setattr(speed, "drive", machine.drive)
    (runner,) = runners(machine.capacity)
    runner.subject = msgspec.structs.replace(runner.subject, stand_in="another")
    measuring = Speed([runner], Options(clients=(1,), batches=(), rates=(), rounds=1), None)
    await measuring.measure(Silent())
    (point,) = measuring.points()
    assert point.p50.stand_in == point.requests_per_s.stand_in == "another"
