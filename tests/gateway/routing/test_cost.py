"""What calls cost, learned from those there were."""

from __future__ import annotations

import pytest

from gateway.routing.cost import Cost


def learned(fixed: float, per_row: float, *sizes: int) -> Cost:
    cost = Cost()
    for rows in sizes:
        cost.note(rows, fixed + per_row * rows)
    return cost


def test_nothing_is_known_before_the_first_call() -> None:
    assert Cost().seconds(3, 100) == 0


@pytest.mark.parametrize(("fixed", "per_row"), [(0.02, 0.0), (0.02, 0.001), (0.0, 0.001)])
def test_calls_of_different_sizes_tell_what_is_fixed(fixed: float, per_row: float) -> None:
    cost = learned(fixed, per_row, *[1] * 10, 64, 1, 64)
    assert cost.seconds(1, 64) == pytest.approx(fixed + 64 * per_row, rel=0.1)
    assert cost.seconds(5, 300) == pytest.approx(5 * fixed + 300 * per_row, rel=0.1)


def test_lone_calls_do_not_make_a_large_one_look_dear() -> None:
    cost = learned(0.05, 0.0, *[1] * 10)
    assert cost.seconds(1, 1) == pytest.approx(0.05)
    assert 0.05 < cost.seconds(1, 64) < 0.3


def test_a_load_of_equal_calls_is_reckoned_by_calls() -> None:
    cost = learned(0.0, 0.008, *[2] * 100)
    assert cost.seconds(2, 4) == pytest.approx(4 * 0.008)
    assert cost.seconds(10, 20) == pytest.approx(20 * 0.008)


def test_one_slow_call_counts_for_little_and_several_for_all() -> None:
    cost = learned(0.005, 0.0, *[1] * 5)
    cost.note(1, 10.0)
    assert cost.seconds(1, 1) < 0.01
    for _ in range(40):
        cost.note(1, 0.1)
    assert cost.seconds(1, 1) == pytest.approx(0.1, rel=0.01)


def test_a_large_call_is_believed_at_once() -> None:
    cost = learned(0.0, 0.008, *[1] * 10, 64)
    assert cost.seconds(1, 64) == pytest.approx(64 * 0.008, rel=0.1)
