"""How many users there are when."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadtests.users.plan import Plan
from loadtests.users.shapes import SHAPES, PlannedShape, Ramp, ShapeOption, Soak, Spike, Steady


def over_time(shape: PlannedShape, plan: Plan, times: list[float]) -> list[int | None]:
    found = [shape.at(at, plan) for at in times]
    # Whatever changes, up or down, is done within a second: Locust asks again only then.
    assert all(each[1] >= plan.users for each in found if each is not None)
    return [None if each is None else each[0] for each in found]


def test_steady_comes_at_the_spawn_rate_and_stays_until_the_end() -> None:
    plan = Plan(users=10, seconds=6, spawn_rate=4)
    assert over_time(Steady(), plan, [0, 1, 2, 3, 5.8, 5.95, 6]) == [4, 8, 10, 10, 10, None, None]


def test_steady_without_a_time_goes_on() -> None:
    assert over_time(Steady(), Plan(users=3, spawn_rate=100), [0, 1e6]) == [3, 3]


def test_a_spawn_rate_below_one_still_begins_with_a_user() -> None:
    assert over_time(Steady(), Plan(users=3, spawn_rate=0.5), [0, 1, 3]) == [1, 1, 2]


def test_ramp_rises_in_equal_steps() -> None:
    plan = Plan(users=100, seconds=50, ramp_steps=5)
    times = [0, 9.9, 10, 20, 30, 40, 49.8, 50]
    assert over_time(Ramp(), plan, times) == [20, 20, 40, 60, 80, 100, 100, None]


def test_ramp_has_a_user_even_where_steps_are_many() -> None:
    assert over_time(Ramp(), Plan(users=2, seconds=100, ramp_steps=50), [0, 99]) == [1, 2]


def test_spike_by_default_is_the_middle_third_of_ten_times_the_users() -> None:
    plan = Plan(users=50, seconds=30)
    assert over_time(Spike(), plan, [0, 9.9, 10, 19.9, 20, 29, 30]) == [5, 5, 50, 50, 5, 5, None]


def test_spike_where_and_as_long_as_one_says() -> None:
    plan = Plan(users=50, seconds=30, spike_base_users=7, spike_at_seconds=3, spike_seconds=2)
    assert over_time(Spike(), plan, [0, 3, 4.9, 5, 29]) == [7, 50, 50, 7, 7]


def test_soak_holds_a_part_of_the_users_for_an_hour() -> None:
    plan = Plan(users=40, soak_share=0.25, spawn_rate=5)
    assert over_time(Soak(), plan, [0, 1, 60, 3599, 3600]) == [5, 10, 10, 10, None]


def test_no_shape_has_more_users_than_asked_for_or_none() -> None:
    plan = Plan(users=4, seconds=20, spike_base_users=99, soak_share=3, spawn_rate=50)
    for shape in SHAPES.values():
        found = over_time(shape(), plan, [float(second) for second in range(20)])
        assert all(each is not None and 1 <= each <= 4 for each in found)


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_option_chooses_the_shape(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Namespace(
        shape=name,
        num_users=12,
        run_time=9,
        spawn_rate=3.0,
        ramp_steps=3,
        spike_base_users=2,
        spike_at_seconds=3.0,
        spike_seconds=3.0,
        soak_share=0.5,
    )
    option = ShapeOption()
    option.runner = cast(
        "Any", SimpleNamespace(environment=SimpleNamespace(parsed_options=options))
    )
    seen = []
    for second in range(10):
        monkeypatch.setattr(option, "get_run_time", partial(float, second))
        tick = option.tick()
        seen.append(None if tick is None else tick[0])
    assert (
        seen
        == {
            "steady": [3, 6, 9, 12, 12, 12, 12, 12, 12, None],
            "ramp": [4, 4, 4, 8, 8, 8, 12, 12, 12, None],
            "spike": [2, 2, 2, 12, 12, 12, 2, 2, 2, None],
            "soak": [3, 6, 6, 6, 6, 6, 6, 6, 6, None],
        }[name]
    )


def test_what_the_web_page_leaves_empty_is_a_user_without_end() -> None:
    defaults = Plan()
    names = [name for name in Plan.__struct_fields__ if name not in ("users", "seconds")]
    options = Namespace(**{name: getattr(defaults, name) for name in names})
    options.num_users = options.run_time = options.spawn_rate = None
    assert Plan.of(options) == defaults
