"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

#: Where Linux shows the control groups, and which of them this process is in.
_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
#: The folder of cgroup v1's CPU controller.
_V1 = "cpu"


def available_cpus(groups: Path = _GROUPS, membership: Path = _MEMBERSHIP) -> int:
    """CPUs by the affinity mask, or fewer where a cgroup's quota allows less, rounded up.

    The least quota counts of those of this process's group and all above it, see
    https://docs.kernel.org/admin-guide/cgroup-v2.html: a systemd unit's lies below the root, and so
    does a container's that shares the host's cgroup namespace.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = min(map(_quota, _folders(groups, membership)))
    return max(1, math.ceil(min(count or 1, quota)))


def _folders(groups: Path, membership: Path) -> Iterator[Path]:
    """The folders that may hold a quota, of both versions: the roots, and what leads to ours.

    A container of its own namespace sees its group as the root, but cgroup v1 tells it the host's
    path: what is not there holds no quota.
    """
    yield from (groups, groups / _V1)
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(path.lstrip("/"))
        root = groups / _V1 if controllers else groups
        yield from (root / part for part in (group, *group.parents))


def _quota(folder: Path) -> float:
    """How many CPUs the group may use at a time, infinite where it is not limited."""
    try:  # cgroup v2: "max 100000" or "<quota µs> <period µs>"
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:  # cgroup v1: -1 is no limit
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return math.inf
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)
