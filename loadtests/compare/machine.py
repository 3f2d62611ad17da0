"""Where a comparison's figures come from, and who else was at work there."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from gateway.models.cpus import available_cpus
from loadtests.bench.machine import processor
from loadtests.compare.results import Machine

#: Share of the machine's cores that others may use before figures are doubtful.
_BUSY = 0.1
_LOOK_S = 1.0
#: Most programs named.
_NAMED = 3


def describe(packages: Sequence[str]) -> Machine:
    """This machine and the versions of those ``packages`` that are installed.

    Looks for a second who else is at work, so call it before anything is started.
    """
    return Machine(
        processor=processor(),
        cores=available_cpus(),
        memory_gb=round(_memory() / 1e9, 1),
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=_versions(packages),
        busy=busy(),
    )


def busy(look_s: float = _LOOK_S) -> str | None:
    """A sentence if other programs use the machine, looked at for ``look_s`` seconds, else None.

    What no visible process has used, as in a container, counts too; what this process uses does
    not.
    """
    me = psutil.Process()
    used, mine, each = _used(), _cpu_s(me), _by_process(me.pid)
    started = time.perf_counter()
    time.sleep(look_s)
    elapsed = time.perf_counter() - started
    others = max(0.0, _used() - used - (_cpu_s(me) - mine))
    cores = psutil.cpu_count() or 1
    share = others / elapsed / cores
    if share <= _BUSY:
        return None
    taken = {
        process: seconds - each.get(process, 0.0)
        for process, seconds in _by_process(me.pid).items()
    }
    names = _names([one for one in taken if taken[one] > _BUSY * elapsed], taken)
    return (
        f"other programs used {share:.0%} of the machine's {cores} cores before the start"
        f"{names}: the figures are doubtful"
    )


def _names(processes: list[psutil.Process], taken: dict[psutil.Process, float]) -> str:
    names: list[str] = []
    for process in sorted(processes, key=lambda one: -taken[one]):
        try:
            name = process.name()
        except psutil.Error:
            continue
        if name not in names:
            names.append(name)
    return f" ({', '.join(names[:_NAMED])})" if names else ""


def _used() -> float:
    """Seconds all cores together have not been idle, what the hypervisor took included."""
    times = psutil.cpu_times()._asdict()
    # A guest's time is in the user's already.
    spare = {"idle", "iowait", "guest", "guest_nice"}
    return float(sum(seconds for name, seconds in times.items() if name not in spare))


def _by_process(without: int) -> dict[psutil.Process, float]:
    found = {}
    for process in psutil.process_iter():
        if process.pid != without:
            try:
                found[process] = _cpu_s(process)
            except psutil.Error:
                continue
    return found


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _memory() -> int:
    """Bytes there are for us: the machine's, or the cgroup's limit below it."""
    total = int(psutil.virtual_memory().total)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(total, int((Path("/sys/fs/cgroup") / name).read_text()))
        except (OSError, ValueError):  # ValueError: "max", no limit
            continue
    return total


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
