from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.spread import Spread


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=9))
def test_it_is_the_middle_and_the_ends(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.low == min(values)
    assert spread.high == max(values)
    assert sum(value < spread.median for value in values) <= len(values) / 2
    assert sum(value > spread.median for value in values) <= len(values) / 2


def test_of_nothing_there_is_none() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])
