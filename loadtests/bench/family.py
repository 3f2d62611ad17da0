"""A server and all that it has started, also what has left its process group."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """``started`` tells it from a later one with the same id; ``cpu_s`` is what it has used."""

    pid: int
    started: int
    parent: int
    group: int
    cpu_s: float


def family(pid: int) -> list[Process]:
    """The process, its group and their descendants. Zombies do not count.

    The group is not enough: BentoML's supervisor gives each worker a session of its own.
    """
    everyone = list(_processes())
    known = {one.pid for one in everyone if pid in (one.pid, one.group)}
    while more := {one.pid for one in everyone if one.parent in known} - known:
        known |= more
    return [one for one in everyone if one.pid in known]


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    """Send a signal to those that still live."""
    alive = {(one.pid, one.started) for one in _processes()}
    for one in processes:
        if (one.pid, one.started) in alive:
            os.kill(one.pid, number)


def _processes() -> Iterable[Process]:
    tick = os.sysconf("SC_CLK_TCK")
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # "pid (name) state parent group …"; the name may hold spaces and brackets.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            cpu_s = (int(fields[11]) + int(fields[12])) / tick
            yield Process(int(entry.name), int(fields[19]), int(fields[1]), int(fields[2]), cpu_s)
