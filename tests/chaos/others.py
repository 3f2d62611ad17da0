"""What other programs take of this machine while something is measured on it."""

from __future__ import annotations

import os
import time
from typing import NoReturn

import pytest

from loadtests.bench.cores import core_seconds
from loadtests.bench.family import family

#: The share of the machine beyond which what is measured says more of others than of the gateway.
#: They make waits of several milliseconds, each a time slice of the kernel's scheduler.
TOO_MUCH = 0.02


class Others:
    """Counts from when it is made; ``pids`` and all they have started are not others."""

    def __init__(self, *pids: int | None) -> None:
        self._pids = [pid for pid in pids if pid is not None]
        self._cores = os.sched_getaffinity(0)
        self._began, self._before = time.monotonic(), self._seconds()

    @property
    def share(self) -> float:
        """The share of these cores' time that others have taken so far."""
        taken = self._seconds() - self._before
        return max(taken, 0.0) / (len(self._cores) * (time.monotonic() - self._began))

    def _seconds(self) -> float:
        ours = sum(one.cpu_s for pid in self._pids for one in family(pid))
        return sum(core_seconds(core) for core in self._cores) - ours


def give_up(shares: list[float]) -> NoReturn:
    """The machine was never quiet: nothing to be said here, but a failure on CI."""
    taken = ", ".join(f"{share:.0%}" for share in shares)
    message = f"other programs took too much of this machine to measure anything: {taken}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
