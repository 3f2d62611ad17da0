"""Row by row comparison of two answers, and the interval of a rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.models.rows import Outputs
from gateway.routing.agreement import compare, wilson

NAN, INF = math.nan, math.inf
TOLERANCE = 0.01


def array(values: list[Any], kind: str = "float64") -> Any:
    return np.array(values, dtype=kind)


def distance(one: float, other: float) -> float:
    """What compare promises for two numbers."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    found = abs(one - other)
    return INF if math.isnan(found) else found


NUMBERS = st.floats(width=32) | st.sampled_from([NAN, INF, -INF, 0.0])


@given(st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=2), min_size=1))
def test_each_row_has_the_largest_difference_of_its_elements(
    table: list[list[tuple[float, float]]],
) -> None:
    pairs = array(table)
    # As one vector and as two scalars a row: the same numbers, so the same differences.
    vector = {"v": pairs[:, :, 0]}, {"v": pairs[:, :, 1]}
    names = ("a", "b")
    scalars = tuple({name: pairs[:, i, side] for i, name in enumerate(names)} for side in (0, 1))
    expected = [max(distance(*pair) for pair in row) for row in table]
    for primary, candidate in (vector, scalars):
        found = compare(primary, candidate, TOLERANCE)
        assert found.differences.tolist() == expected
        assert found.agreeing.tolist() == [value <= TOLERANCE for value in expected]
        assert found.row == expected.index(max(expected))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("kinds", "values", "expected"),
    [
        (("float32", "float64"), (1.0, 1.5), 0.5),
        (("uint8", "uint8"), (3, 5), 2.0),
        (("bool", "bool"), (True, False), 1.0),
        (("bool", "float32"), (True, 1.0), 0.0),
        (("int64", "int64"), (2**60, 2**60 + 1), 1.0),
        (("int8", "int8"), (-128, 127), 255.0),
        (("object", "object"), ("a", "a"), 0.0),
        (("object", "U3"), ("a", "a"), 0.0),
        (("object", "object"), ("a", "b"), INF),
        (("object", "float64"), ("1", 1.0), INF),
        (("float64", "object"), (1.0, "1"), INF),
    ],
)
def test_every_kind_of_output(
    rows: int, kinds: tuple[str, str], values: tuple[Any, Any], expected: float
) -> None:
    primary = {"y": array([values[0]] * rows, kinds[0])}
    candidate = {"y": array([values[1]] * rows, kinds[1])}
    found = compare(primary, candidate, TOLERANCE)
    assert found.differences.tolist() == [expected] * rows
    assert found.agreeing.tolist() == [expected == 0] * rows


def test_the_output_that_differs_most_is_named() -> None:
    primary = {"near": array([1, 1]), "far": array([1, 1]), "text": array(["a", "b"], "object")}
    candidate = {**primary, "near": array([1, 1.5]), "far": array([1, 4])}
    found = compare(primary, candidate, TOLERANCE)
    assert (found.row, found.output) == (1, "far")
    found = compare(primary, {**candidate, "text": array(["c", "b"], "object")}, TOLERANCE)
    assert (found.row, found.output) == (0, "text")


@pytest.mark.parametrize(
    "candidate",
    [
        {},
        {"other": array([1, 2])},
        {"y": array([1])},
        {"y": array([[1], [2]])},
        {"y": array([1, 2, 3])},
    ],
)
def test_what_is_missing_or_shaped_otherwise_disagrees(candidate: Outputs) -> None:
    found = compare({"y": array([1, 2])}, candidate, TOLERANCE)
    assert found.differences.tolist() == [INF, INF]
    assert not found.agreeing.any()


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    successes, total = counts
    rate = successes / total
    low, high = wilson(successes, total)
    assert 0 <= low <= rate <= high <= 1
    # By definition: the rates from which the observed one is z standard errors away.
    for bound in {low, high} - {rate}:
        assert abs(rate - bound) == pytest.approx(1.96 * math.sqrt(bound * (1 - bound) / total))


def test_the_interval_at_its_ends() -> None:
    z = 1.96**2
    assert wilson(0, 10) == pytest.approx((0, z / (10 + z)))
    assert wilson(10, 10) == pytest.approx((10 / (10 + z), 1))
    assert wilson(0, 0) == (0.0, 1.0)
