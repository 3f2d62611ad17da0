from __future__ import annotations

import math

import pytest

from loadtests.bench.samples import differences, fall, ratios, settled
from tests.loadtests.bench.conftest import sample


def test_errors_are_no_throughput() -> None:
    one = sample(requests=1000, seconds=2, errors=400, rows=8)
    assert one.requests_per_s == 300
    assert one.rows_per_s == 2400


def test_more_errors_than_requests_is_no_negative_throughput() -> None:
    assert sample(requests=0, errors=64).requests_per_s == 0


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was twice as fast in the second round; both were.
    assert ratios([10, 20], [5, 10]) == [2, 2]
    assert ratios([1], [0]) == [math.inf]
    assert differences([3, 5], [1, 4]) == [2, 1]
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])


@pytest.mark.parametrize(
    ("speeds", "expected"),
    [
        ([], False),
        ([100, 100], False),
        ([100, 100, 100], True),
        ([100, 110, 102], False),
        ([50, 100, 110, 105, 112], True),
        ([100, 90, 80], True),
    ],
)
def test_settled(speeds: list[float], expected: bool) -> None:
    assert settled(speeds) is expected


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([1, 2, 3], 0),
        ([1, 4, 3], 25),
        ([4, 1, 3], 75),  # the lowest after the maximum, not the last
        ([1], 0),
        ([0.1, 2, 2, 1], 50),
    ],
)
def test_fall(curve: list[float], expected: float) -> None:
    assert fall(curve) == pytest.approx(expected)
