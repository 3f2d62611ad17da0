from __future__ import annotations

import msgspec
import pytest

from loadtests.compare.advice.failures import reliability
from loadtests.compare.results import Point
from tests.loadtests.compare.factories import TORCHSERVE, figure, one_round, point


def _closed(errors: dict[str, int] | None = None) -> Point:
    return point(TORCHSERVE, [one_round(1000, 1, 2), one_round(1000, 1, 2, errors)])


def _open(rate: float, errors: dict[str, int]) -> Point:
    rounds = [one_round(min(rate, 1000), 1, 2, errors)]
    return point(TORCHSERVE, rounds, shape="open", connections=256, rate=rate)


def test_no_errors_no_words() -> None:
    found = reliability([_closed(), _open(5000, {})])
    assert found.worst is None
    assert found.overloads == []


def test_one_error_is_a_failure() -> None:
    found = reliability([_closed({"500": 1}), _open(500, {})])
    assert found.worst is not None
    assert found.worst.share == pytest.approx(1 / 8001)
    assert found.worst.words("It") == "It failed 0.012 % of its requests with 64 clients (500)"


def test_the_worst_point_is_named() -> None:
    found = reliability([_closed({"500": 80}), _open(500, {"connection lost": 200})])
    assert found.worst is not None
    assert found.worst.point.shape == "open"
    assert found.worst.kinds == "connection lost"


@pytest.mark.parametrize("error", ["503 overloaded", "503", "429", "504 late", "no answer in time"])
def test_errors_above_the_capacity_are_overload(error: str) -> None:
    found = reliability([_closed(), _open(5000, {error: 4000})])
    assert found.worst is None
    (overload,) = found.overloads
    assert overload.capacity == 1000
    assert overload.words("It").startswith(
        "at 5,000 requests per second It was asked for more than the 1,000 requests per second it "
        f"can answer, and left 50 % unanswered ({error})"
    )


def test_other_errors_are_failures_under_any_load() -> None:
    found = reliability([_closed(), _open(5000, {"503 overloaded": 10, "500": 20})])
    assert found.worst is not None
    assert found.worst.kinds == "500"
    assert found.worst.share == pytest.approx(20 / 4030)
    assert len(found.overloads) == 1


def test_below_the_capacity_or_without_knowing_it_nothing_is_overload() -> None:
    few = _open(900, {"503 overloaded": 10})
    assert reliability([_closed(), few]).overloads == []
    assert reliability([_open(5000, {"503 overloaded": 10})]).worst is not None
    unknown = msgspec.structs.replace(_closed(), requests_per_s=figure("a", None))
    assert reliability([unknown, _open(5000, {"503 overloaded": 10})]).worst is not None


def test_a_share_of_errors_suffices() -> None:
    told = msgspec.structs.replace(_closed(), error_share=figure("a", 0.01))
    worst = reliability([told]).worst
    assert worst is not None
    assert worst.words("It") == "It failed 1 % of its requests with 64 clients"
