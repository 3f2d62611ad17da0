"""Where and how an experiment was measured, in words."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gateway.models.cpus import available_cpus


def describe(packages: Iterable[str]) -> dict[str, str]:
    """The machine, and the versions of these packages; one that is absent is left out.

    ``load`` is how many other programs wanted a core during the last minute.
    """
    return {
        "processor": f"{_processor()}, {available_cpus()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(_versions(packages)),
        "load": f"{os.getloadavg()[0]:.1f} at the start",
    }


def _versions(packages: Iterable[str]) -> list[str]:
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
