"""What came of a headless run, as one process of Locust writes it and another reads it."""

from __future__ import annotations

import msgspec

from loadtests.compare.results import Tick


class Recording(msgspec.Struct, kw_only=True):
    """A run of Locust in numbers; latencies in ms, of all requests, those that failed included.

    ``seconds`` is from the start until users were told to stop, ``in_time`` counts the requests
    that had ended by then. ``errors`` counts the failures by their words. ``busy`` is the share of
    a core Locust used: near 1 it was the limit.
    """

    seconds: float
    in_time: int
    requests: int
    failures: int
    p50: float | None
    p95: float | None
    p99: float | None
    busy: float
    ticks: list[Tick]
    errors: dict[str, int]
