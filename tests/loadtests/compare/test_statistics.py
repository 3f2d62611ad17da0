from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadtests.compare.statistics import beyond, difference, holm, mean_interval, ratio

ROUNDS = st.lists(st.floats(0.01, 1e4), min_size=3, max_size=9)


def test_mean_is_that_of_the_textbook() -> None:
    # Student's own data of 1908 (Cushny and Peebles): hours of sleep gained by two drugs.
    gained = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    other = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    found = difference(gained, other)
    assert found.value == pytest.approx(1.58)
    assert found.low == pytest.approx(0.7001142)
    assert found.high == pytest.approx(2.4598858)
    assert mean_interval(gained).value == pytest.approx(2.33)


@given(ROUNDS, st.floats(0.5, 0.999))
def test_mean_interval_is_scipys(values: list[float], level: float) -> None:
    found = mean_interval(values, level)
    assert found.value == pytest.approx(np.mean(values))
    error = stats.sem(values)
    if error > 0:
        low, high = stats.t.interval(level, len(values) - 1, np.mean(values), error)
        assert [found.low, found.high] == pytest.approx([low, high])
    assert found.rounds == len(values)


def test_ratio_is_taken_within_a_round() -> None:
    # The machine was three times as fast in the second round; both were.
    found = ratio([20, 60, 22], [10, 30, 10])
    assert found.value == pytest.approx((2 * 2 * 2.2) ** (1 / 3))
    assert found.low is not None
    assert found.high is not None
    assert 1.7 < found.low < 2.06 < found.high < 2.5


@given(ROUNDS, st.randoms(use_true_random=False))
def test_the_inverse_ratio_has_the_inverse_interval(values: list[float], random: object) -> None:
    others = list(reversed(values))
    there, back = ratio(values, others), ratio(others, values)
    assert there.value is not None
    assert back.value is not None
    assert there.value == pytest.approx(1 / back.value)
    if there.high and math.isfinite(there.high) and back.low:
        assert there.high == pytest.approx(1 / back.low)


@pytest.mark.parametrize("estimate", [ratio, difference])
def test_a_round_without_an_answer_decides_nothing(estimate: object) -> None:
    assert callable(estimate)
    for nothing in (None, math.nan, math.inf):
        found = estimate([1, nothing, 3], [1, 2, 3])
        assert (found.value, found.low, found.high) == (None, None, None)
        assert found.remark == "nothing was measured in round 2 of 3"
    assert estimate([], []).remark == "no rounds"
    assert mean_interval([1, None]).value is None
    assert mean_interval([]).remark == "no rounds"


def test_nothing_is_no_ratio_but_a_difference() -> None:
    assert ratio([0, 1, 1], [1, 1, 1]).remark == "nothing was measured in round 1 of 3"
    assert ratio([1, 1, 1], [1, 0, 0]).remark == "nothing was measured in round 2, 3 of 3"
    assert difference([0, 1, 2], [1, 1, 1]).value == 0


def test_one_round_has_no_interval() -> None:
    found = ratio([2], [1])
    assert (found.value, found.low, found.high) == (2, None, None)
    assert found.remark == "one round: no interval"


def test_without_spread_the_interval_is_a_point() -> None:
    found = ratio([3, 3, 3], [2, 2, 2])
    assert found.low == pytest.approx(1.5)
    assert found.high == pytest.approx(1.5)
    assert difference([3, 3], [2, 2]).low == 1


def test_rounds_without_a_partner_are_left_out() -> None:
    found = ratio([2, 4, 6, 9], [1, 2, 3])
    assert found.value == pytest.approx(2)
    assert found.rounds == 3
    assert found.remark == "4 against 3 rounds: the first 3 count"


def test_an_interval_beyond_all_numbers_is_infinite() -> None:
    found = ratio([1, 1e300], [1, 1e-300])
    assert found.high == math.inf
    assert found.low == 0


@given(ROUNDS, st.floats(0.2, 5), st.integers(0, 1000))
def test_beyond_says_what_the_interval_says(values: list[float], times: float, seed: int) -> None:
    noise = np.exp(0.1 * np.random.default_rng(seed).standard_normal(len(values)))
    others = [value * times * factor for value, factor in zip(values, noise, strict=True)]
    trial = beyond(others, values, 1.1)
    assert trial is not None
    if 1e-6 < trial.p < 0.99:
        # The interval at the level 1 − p ends at the margin.
        found = ratio(others, values, 1 - trial.p)
        end = found.low if trial.side == "higher" else found.high
        assert end == pytest.approx(1.1 if trial.side == "higher" else 1 / 1.1)


def test_beyond_needs_three_rounds_with_answers() -> None:
    assert beyond([9, 9], [1, 1], 1.1) is None
    assert beyond([9, 9, None], [1, 1, 1], 1.1) is None
    trial = beyond([9, 8, 9], [1, 1, 1], 1.1)
    assert trial is not None
    assert trial.side == "higher"
    assert trial.p < 0.01


def test_beyond_without_spread_looks_at_the_margin_alone() -> None:
    within, outside = beyond([105] * 3, [100] * 3, 1.1), beyond([80] * 3, [100] * 3, 1.1)
    assert within is not None
    assert within.p == 1
    assert outside is not None
    assert (outside.side, outside.p) == ("lower", 0)


def test_holm_goes_on_while_it_may() -> None:
    # Holm's rule on thresholds 0.0125, 0.0167, 0.025, 0.05: the third stops it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm([0.03, 0.001]) == [True, True]  # Bonferroni would keep the first
    assert holm([0.04, 0.03]) == [False, False]
    assert holm([]) == []


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draw = np.random.default_rng(5)
    held = 0
    for _ in range(1500):
        drift = np.exp(0.3 * draw.standard_normal(5))
        candidate = 1.5 * drift * np.exp(0.1 * draw.standard_normal(5))
        reference = drift * np.exp(0.1 * draw.standard_normal(5))
        found = ratio(list(candidate), list(reference))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.5 <= found.high
    assert held / 1500 == pytest.approx(0.95, abs=0.02)
