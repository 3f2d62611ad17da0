"""How latencies are rounded; what is recorded of a run is tested with whole runs."""

from __future__ import annotations

import pytest

from loadtests.users.recorder import fine_bucket


@pytest.mark.parametrize(
    ("latency", "bucket"),
    [(0.4567, 0.46), (12.345678, 12.35), (99.994, 99.99), (147.0, 150), (3432.0, 3400)],
)
def test_short_latencies_keep_their_digits(latency: float, bucket: float) -> None:
    assert fine_bucket(latency) == bucket
