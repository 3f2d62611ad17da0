"""Differences of arrays, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.differences import close, largest

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("one", "other", "expected", "near"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5, [True, False]),
        ([NAN, INF], [NAN, INF], 0.0, [True, True]),
        ([NAN, INF, INF], [1.0, -INF, 2.0], INF, [False, False, False]),
        ([1, 2], [1, 4], 2.0, [True, False]),
        ([True, False], [True, True], 1.0, [True, False]),
        (["a", "b"], ["a", "c"], INF, [True, False]),
        (["a", "b"], ["a", "b"], 0.0, [True, True]),
        (["1"], [1.0], INF, [False]),
        ([], [], 0.0, []),
    ],
)
def test_differences(one: list[Any], other: list[Any], expected: float, near: list[bool]) -> None:
    # As ONNX Runtime has them: texts are objects.
    left, right = (
        np.array(values, object if any(isinstance(v, str) for v in values) else None)
        for values in (one, other)
    )
    assert largest(left, right) == largest(right, left) == expected
    assert close(left, right, 0.25).tolist() == near


def test_narrow_numbers_are_told_apart() -> None:
    assert largest(np.array([250], np.uint8), np.array([5], np.uint8)) == 245
    assert largest(np.array([6e4], np.float16), np.array([-6e4], np.float16)) == pytest.approx(
        1.2e5
    )
