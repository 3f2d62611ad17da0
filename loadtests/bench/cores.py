"""Which core does what: the servers' and the load generator's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests.bench.errors import BenchError
from loadtests.bench.family import Process


def require_cores(cores: Iterable[int]) -> None:
    """Raise :class:`BenchError` unless this process may use all of these, and they differ."""
    wanted = list(cores)
    if not hasattr(os, "sched_setaffinity"):
        raise BenchError("this system cannot pin processes to cores; the benchmark needs Linux")
    missing = set(wanted) - os.sched_getaffinity(0)
    if missing or len(set(wanted)) < len(wanted):
        raise BenchError(f"servers and client need a core each; there is no {missing or 'second'}")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started inside runs on ``core`` and nowhere else, with all it starts in turn.

    The affinity is inherited rather than set afterwards, so that runtimes which count their CPUs
    when they start (the Java VM, thread pools) see one.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def require_pinned(processes: Iterable[Process], core: int) -> None:
    """Raise :class:`BenchError` if one of them may run on another core."""
    for process in processes:
        try:
            allowed = os.sched_getaffinity(process.pid)
        except ProcessLookupError:
            continue
        if allowed != {core}:
            raise BenchError(f"process {process.pid} left its core: it may use {sorted(allowed)}")


def core_seconds(core: int) -> float:
    """Time programs and the hypervisor have taken of the core so far, interrupts not counted."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _, _, _, _, steal = map(int, ticks[:8])
            return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")
    raise BenchError(f"there is no core {core}")


def rss_mb(processes: Iterable[Process]) -> float:
    """Resident memory of the processes together in MB (10⁶ bytes)."""
    pages = 0
    for process in processes:
        try:
            pages += int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGESIZE") / 1e6
