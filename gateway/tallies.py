"""Series that are counted in plain numbers and written to Prometheus' now and then.

A request counts a handful of things. Each costs a lock there, and of several workers a write to a
file: together a sixth of what the request costs. All of it belongs on the event loop's thread.
"""

from __future__ import annotations

from bisect import bisect_left

from prometheus_client import Counter, Histogram


class Count:
    """A counter's series."""

    __slots__ = ("_pending", "_series")

    def __init__(self, series: Counter) -> None:
        self._series = series
        self._pending = 0.0

    def add(self, amount: float) -> None:
        """So many more."""
        self._pending += amount

    def flush(self) -> None:
        """Write out what has been added since the last time."""
        if self._pending:
            self._series.inc(self._pending)
            self._pending = 0.0


class Distribution:
    """A histogram's series.

    Prometheus' client takes observations only one by one, so buckets are written into its own.
    """

    __slots__ = ("_bounds", "_pending", "_series", "_sum")

    def __init__(self, series: Histogram) -> None:
        self._series = series
        self._bounds = series._upper_bounds
        self._pending = [0] * len(self._bounds)
        self._sum = 0.0

    def observe(self, amount: float) -> None:
        """One more, of this size."""
        self._pending[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def flush(self) -> None:
        """Write out what has been observed since the last time."""
        for index, count in enumerate(self._pending):
            if count:
                self._series._buckets[index].inc(count)
                self._pending[index] = 0
        if self._sum:
            self._series._sum.inc(self._sum)
            self._sum = 0.0
