"""Keeps what comes of a headless run, second by second, and writes it at the end.

Locust's own history files average over ten seconds, and over rounded milliseconds.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import locust.stats
import msgspec
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.compare.results import Tick
from loadtests.users.recording import Recording

_FINE_MS = 100.0
#: What is left at the end is a tick of its own if it lasts so long.
_SHORTEST_S = 0.5
_locust_bucket = locust.stats.bucket_response_time


def fine_bucket(response_time: float) -> float:
    """A latency in ms, to 0.01 ms below 100 ms and as Locust rounds it above.

    Locust rounds to whole milliseconds, which are many for a prediction that takes half of one.
    """
    if response_time < _FINE_MS:
        return round(response_time, 2)
    return _locust_bucket(response_time)


def attach(environment: Environment, **_: Any) -> None:
    """A listener for Locust's event ``init``: records where ``--record`` says so.

    Of several processes the one that adds up the others' numbers does.
    """
    options = environment.parsed_options
    if options is not None and options.record and not isinstance(environment.runner, WorkerRunner):
        Recorder(environment, Path(options.record))


class Recorder:
    """Records the run of one environment into a file."""

    def __init__(self, environment: Environment, path: Path) -> None:
        self._environment = environment
        self._path = path
        self._ticks: list[Tick] = []
        self._last = _Count(environment)
        self._started = self._cpu = self._seconds = self._busy = self._last_s = 0.0
        self._in_time = 0
        events = environment.events
        events.test_start.add_listener(self._start)  # type: ignore[no-untyped-call]
        events.test_stopping.add_listener(self._stop)  # type: ignore[no-untyped-call]
        events.quitting.add_listener(self._write)  # type: ignore[no-untyped-call]

    def _start(self, **_: Any) -> None:
        self._started, self._cpu = time.perf_counter(), time.process_time()
        runner = self._environment.runner
        assert runner is not None
        runner.greenlet.spawn(self._watch)

    def _stop(self, **_: Any) -> None:
        if self._seconds:
            return
        self._seconds = time.perf_counter() - self._started
        if self._seconds - self._last_s >= _SHORTEST_S:
            self._tick()
        self._busy = (time.process_time() - self._cpu) / self._seconds
        self._in_time = self._environment.stats.total.num_requests

    def _watch(self) -> None:
        """A tick each second, until users are told to stop; Locust lets others run meanwhile."""
        while True:
            time.sleep(max(len(self._ticks) + 1 - (time.perf_counter() - self._started), 0))
            if self._seconds:
                return
            self._tick()

    def _tick(self) -> None:
        now, at_s = _Count(self._environment), time.perf_counter() - self._started
        self._ticks.append(now.since(self._last, at_s, at_s - self._last_s))
        self._last, self._last_s = now, at_s

    def _write(self, **_: Any) -> None:
        total = self._environment.stats.total
        errors: Counter[str] = Counter()
        for error in self._environment.stats.errors.values():
            errors[f"{error.name}: {_words(error.error)}"] += error.occurrences
        runner = self._environment.runner
        for fault in runner.exceptions.values() if runner is not None else ():
            errors[f"a user broke: {fault['msg']}"] += fault["count"]
        p50, p95, p99 = (
            total.get_response_time_percentile(share) if total.num_requests else None
            for share in (0.5, 0.95, 0.99)
        )
        recording = Recording(
            seconds=self._seconds,
            in_time=self._in_time,
            requests=total.num_requests,
            failures=total.num_failures,
            p50=p50,
            p95=p95,
            p99=p99,
            busy=self._busy,
            ticks=self._ticks,
            errors=dict(errors),
        )
        self._path.write_bytes(msgspec.json.encode(recording))


class _Count:
    """What had happened by now."""

    def __init__(self, environment: Environment) -> None:
        total, runner = environment.stats.total, environment.runner
        self.requests, self.failures = total.num_requests, total.num_failures
        self.times = dict(total.response_times)
        self.users = runner.user_count if runner is not None else 0

    def since(self, before: _Count, at_s: float, seconds: float) -> Tick:
        """The tick that lasted ``seconds`` and ended now, at ``at_s``."""
        times = locust.stats.diff_response_time_dicts(self.times, before.times)
        requests = self.requests - before.requests
        p50, p95 = (
            locust.stats.calculate_response_time_percentile(times, requests, share)
            if requests
            else None
            for share in (0.5, 0.95)
        )
        failures = self.failures - before.failures
        return Tick(at_s, self.users, requests / seconds, failures / seconds, p50, p95)


def _words(error: Exception | str | None) -> str:
    """What a failure was called: Locust keeps the words of its own exception in quotes."""
    return str(error.args[0]) if isinstance(error, Exception) and error.args else str(error)
