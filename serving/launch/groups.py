"""Process groups: a server and everything it has started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

_PROC = Path("/proc")


def members(group: int) -> list[int]:
    """Ids of the group's live processes. Zombies do not count: only their parent can end them."""
    if not _PROC.joinpath("self", "stat").exists():
        return [group] if _signal(group, 0) else []
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # "pid (name) state parent group …"; the name may hold spaces and brackets.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] not in "ZX":
                    found.append(int(entry.name))
    return found


def _signal(group: int, number: int) -> bool:
    """Send a signal to the group; False if it has no members left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True


def terminate(group: int) -> None:
    """SIGTERM to every member."""
    if members(group):
        _signal(group, signal.SIGTERM)


def kill(group: int) -> None:
    """SIGKILL to every member."""
    if members(group):
        _signal(group, signal.SIGKILL)


async def wait_empty(group: int, timeout_s: float) -> bool:
    """Whether the group is empty before ``timeout_s`` is over."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while members(group):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
