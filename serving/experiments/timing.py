"""Fair timing of several calls: in alternated rounds, so that the machine's moods meet them all."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from serving.spread import Spread

Call = Callable[[], object]
#: Calls before each slice that are not counted: they bring caches and idle threads back.
_WARM_UP = 3
#: A slice holds at least so many calls, however long one takes, and at most so many.
_FEWEST, _MOST = 5, 20_000


def alternate(
    calls: Mapping[str, Call], rounds: int, slice_s: float, fewest: int = _FEWEST
) -> dict[str, list[float]]:
    """The median time of a call in µs, per name and round.

    In each round every contestant is called for about ``slice_s`` seconds, at least ``fewest``
    times; the order changes from round to round, so that none always follows the same neighbour.
    The garbage collector runs between slices only.
    """
    counts = {name: _count(call, slice_s, fewest) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    draw = random.Random(1)
    collecting = gc.isenabled()
    gc.disable()
    # What is there already, with a framework loaded millions of objects, is not looked through
    # again and again.
    gc.freeze()
    try:
        for _ in range(rounds):
            draw.shuffle(order)
            for name in order:
                gc.collect()
                taken[name].append(_slice(calls[name], counts[name]))
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()
    return taken


def ratios(times: Sequence[float], reference: Sequence[float]) -> Spread:
    """``times`` ÷ ``reference``, round by round."""
    return Spread.of(a / b for a, b in zip(times, reference, strict=True))


def _count(call: Call, slice_s: float, fewest: int) -> int:
    """How many calls fill a slice."""
    shortest_us = min(_timed(call, _WARM_UP))
    return max(fewest, min(_MOST, int(slice_s * 1e6 / max(shortest_us, 0.1))))


def _slice(call: Call, count: int) -> float:
    for _ in range(min(_WARM_UP, count)):
        call()
    return statistics.median(_timed(call, count))


def _timed(call: Call, count: int) -> list[float]:
    """The time of each call in µs."""
    clock = time.perf_counter_ns
    taken = [0] * count
    for index in range(count):
        started = clock()
        call()
        taken[index] = clock() - started
    return [nanoseconds / 1e3 for nanoseconds in taken]
