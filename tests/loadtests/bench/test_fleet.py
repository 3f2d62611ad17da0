from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from loadtests.bench.cores import core_seconds, on_core, require_cores, require_pinned, rss_mb
from loadtests.bench.errors import BenchError
from loadtests.bench.family import Process, family, send
from loadtests.bench.fleet import Fleet, members
from loadtests.bench.opponents import floor
from loadtests.bench.opponents.opponent import Place

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")

CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0

#: A child in a session of its own, as BentoML's workers are.
_PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.stdout.close()
    send(family(process.pid), signal.SIGKILL)
    process.wait()


def test_a_family_holds_who_left_the_group(parent: subprocess.Popen[str]) -> None:
    processes = family(parent.pid)
    assert len(processes) == 2
    assert len({one.group for one in processes}) == 2
    assert rss_mb(processes) > 5


def test_signals_reach_all_of_a_family(parent: subprocess.Popen[str]) -> None:
    processes = family(parent.pid)
    send(processes, signal.SIGSTOP)
    _eventually(lambda: set(map(_state, processes)) == {"T"})
    send(processes, signal.SIGCONT)
    _eventually(lambda: "T" not in set(map(_state, processes)))
    send(processes, signal.SIGKILL)
    parent.wait()
    send(processes, signal.SIGKILL)  # nobody is left, and nobody else is hit
    assert family(parent.pid) == []


def test_a_later_process_with_the_same_id_is_left_alone(parent: subprocess.Popen[str]) -> None:
    (one, *_) = family(parent.pid)
    earlier = Process(one.pid, one.started - 1, one.parent, one.group, 0)
    send([earlier], signal.SIGKILL)
    assert parent.poll() is None


def test_cores_that_are_not_there() -> None:
    require_cores([CORE])
    with pytest.raises(BenchError, match="a core each"):
        require_cores([CORE, CORE])
    with pytest.raises(BenchError, match="4096"):
        require_cores([CORE, 4096])


def test_a_core_is_inherited_and_left_again() -> None:
    before = os.sched_getaffinity(0)
    with on_core(CORE):
        shown = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert shown.stdout.strip() == f"{{{CORE}}}"
    assert os.sched_getaffinity(0) == before


def test_core_seconds_grow() -> None:
    with on_core(CORE):
        before = core_seconds(CORE)
        while core_seconds(CORE) - before < 0.05:
            pass
    with pytest.raises(BenchError, match="no core"):
        core_seconds(4096)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_who_is_not_pinned_is_found(parent: subprocess.Popen[str]) -> None:
    with pytest.raises(BenchError, match="left its core"):
        require_pinned(family(parent.pid), CORE)


async def test_only_who_is_asked_runs(place: Place, tmp_path: Path) -> None:
    places = [Place(tmp_path / name, place.envs, place.repository, place.version) for name in "ab"]
    one, other = (floor.endpoint(where) for where in places)
    async with Fleet(CORE) as fleet:
        await fleet.start(one)
        await fleet.start(other)
        _eventually(lambda: set(map(_state, members(one.server))) == {"T"})
        assert await _ask(other.url) == 200
        fleet.focus(one)
        assert await _ask(one.url) == 200
        with pytest.raises(TimeoutError):
            await _ask(other.url, within_s=1)
        processes = [*members(one.server), *members(other.server)]
        require_pinned(processes, CORE)
    assert [one for one in processes if family(one.pid)] == []


async def test_a_server_that_ends_at_once_is_not_measured(place: Place) -> None:
    class Broken(floor.Floor):
        def arguments(self) -> Sequence[str]:
            return [sys.executable, "-c", "raise SystemExit('broken')"]

    endpoint = floor.endpoint(place)
    broken = type(endpoint)(
        "broken", Broken(place), "/", endpoint.encode, endpoint.decode, graph=""
    )
    async with Fleet(CORE) as fleet:
        for _ in range(2):
            with pytest.raises(BenchError):
                await fleet.start(broken)


async def _ask(url: str, within_s: float = 20) -> int:
    timeout = aiohttp.ClientTimeout(total=within_s)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=b"{}") as reply,
    ):
        return reply.status


def _eventually(holds: Callable[[], bool]) -> None:
    """A signal takes effect when its process is next scheduled."""
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(process: Process) -> str:
    text = Path(f"/proc/{process.pid}/stat").read_text()
    return text.rpartition(")")[2].split()[0]
