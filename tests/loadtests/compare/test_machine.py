from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from loadtests.compare import machine


def test_this_machine() -> None:
    told = machine.describe(["aiohttp", "no-such-package"])
    assert told.processor
    assert 1 <= told.cores <= (psutil.cpu_count() or 1)
    assert 0 < told.memory_gb <= psutil.virtual_memory().total / 1e9 + 0.1
    assert list(told.packages) == ["aiohttp"]
    assert told.python.startswith("CPython 3.")
    assert not told.pinned


@pytest.mark.alone
def test_who_else_is_at_work_is_named() -> None:
    cores = psutil.cpu_count() or 1
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        time.sleep(0.2)
        told = machine.busy(0.5)
    finally:
        for one in burners:
            one.kill()
            one.wait()
    assert told is not None
    assert f"of the machine's {cores} cores" in told
    assert "python" in told


def test_what_we_do_ourselves_is_not_held_against_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Counters in the place of the machine's, which has other things to do now and then.
    me = psutil.Process()
    clock = {"machine": 100.0, "me": 10.0}
    monkeypatch.setattr(machine, "_used", lambda: clock["machine"])
    monkeypatch.setattr(machine, "_cpu_s", lambda one: clock["me"] if one == me else 0.0)

    def pass_time(mine: float, others: float) -> None:
        def sleep(_: float) -> None:
            clock["me"] += mine
            clock["machine"] += mine + others

        ticks = iter([0.0, 1.0])
        double = SimpleNamespace(sleep=sleep, perf_counter=lambda: next(ticks))
        monkeypatch.setattr(machine, "time", double)

    cores = psutil.cpu_count() or 1
    pass_time(mine=1.0 * cores, others=0.09 * cores)
    assert machine.busy(1) is None
    pass_time(mine=0.0, others=0.11 * cores)
    assert machine.busy(1) == (
        f"other programs used 11% of the machine's {cores} cores before the start: the figures are"
        " doubtful"
    )
