"""Alternated timing, with calls whose time is known."""

from __future__ import annotations

import gc
import itertools
import time

import pytest

from serving.experiments.timing import alternate, ratios
from serving.spread import Spread


def test_every_contestant_is_called_in_every_round_and_the_order_changes() -> None:
    called: list[str] = []
    calls = {name: (lambda name=name: called.append(name)) for name in "abc"}
    taken = alternate(calls, rounds=6, slice_s=0.0)
    assert {name: len(times) for name, times in taken.items()} == {"a": 6, "b": 6, "c": 6}
    assert all(time >= 0 for times in taken.values() for time in times)
    # The first calls count how many fill a slice; after them come the rounds, slice by slice.
    slices = [name for name, before in zip(called[1:], called, strict=False) if name != before]
    assert slices[2:5] != slices[5:8] or slices[5:8] != slices[8:11]


def test_a_slower_call_is_seen_as_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of the test's own: the machine's may be late by more than they differ."""
    turns = itertools.count(1)
    now = 0

    def take(microseconds: int) -> None:
        nonlocal now
        stalled = next(turns) % 7 == 0
        now += microseconds * (100_000 if stalled else 1_000)

    monkeypatch.setattr(time, "perf_counter_ns", lambda: now)
    calls = {"quick": lambda: take(1_000), "slow": lambda: take(4_000)}
    taken = alternate(calls, rounds=3, slice_s=0.01)
    assert ratios(taken["slow"], taken["quick"]) == Spread(4.0, 4.0, 4.0)
    assert Spread.of(taken["slow"]).median == 4_000


def test_the_collector_is_back_on_even_after_a_failure() -> None:
    state = {"calls": 0}

    def fails_later() -> None:
        state["calls"] += 1
        if state["calls"] > 5:
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        alternate({"one": fails_later}, rounds=2, slice_s=0.0)
    assert gc.isenabled()
