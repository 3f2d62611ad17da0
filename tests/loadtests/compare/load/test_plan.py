from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from loadtests.compare.load.plan import Outcome, Plan, arrivals

PLAN: dict[str, Any] = {
    "requests": [b"x"],
    "host": "127.0.0.1",
    "port": 1,
    "connections": 1,
    "seconds": 1.0,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests": []},
        {"connections": 0},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"seconds": 0.0},
        {"warmup_s": -1.0},
        {"give_up_s": 0.0},
    ],
)
def test_plan_that_cannot_be_carried_out(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"request|connection|rate|times"):
        Plan(**(PLAN | wrong))


def test_plan_and_outcome_travel() -> None:
    plan = Plan(**PLAN, rate=2.5, seed=7)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan) == plan
    latencies = np.array([1.5, 0.25])
    outcome = Outcome(
        packed=latencies.tobytes(),
        errors={"500": 1},
        sent=3,
        in_window=2,
        seconds=1,
        driver_cpu_s=0,
    )
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(outcome), type=Outcome)
    assert again.latencies_ms.tolist() == [1.5, 0.25]


def test_arrivals_are_a_poisson_process() -> None:
    rate, seconds = 200.0, 500.0
    times = arrivals(rate, seconds, seed=1)
    assert times[0] >= 0
    assert times[-1] < seconds
    assert (np.diff(times) >= 0).all()
    # The count has the standard deviation √n; the gaps have the mean's own; counts per second have
    # variance ÷ mean = 1, with a standard error of √(2 ÷ 499). Five of each.
    assert len(times) == pytest.approx(rate * seconds, abs=5 * (rate * seconds) ** 0.5)
    gaps = np.diff(times)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.02)
    counts = np.histogram(times, bins=500, range=(0, seconds))[0]
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(1, abs=5 * (2 / 499) ** 0.5)


def test_arrivals_come_from_the_seed_alone() -> None:
    assert (arrivals(50, 10, 1) == arrivals(50, 10, 1)).all()
    assert arrivals(50, 10, 1)[0] != arrivals(50, 10, 2)[0]


def test_arrivals_fill_all_of_the_time() -> None:
    # So few are expected that the first draw of gaps is far too long, and the longest too short.
    assert all(arrivals(0.01, 1, seed).size <= 2 for seed in range(50))
    assert arrivals(1000, 60, 3)[-1] > 59.9
