"""Where the figures come from."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from loadtests.bench.wrk import require_wrk

_PACKAGES = ("aiohttp", "uvloop", "msgspec", "numpy", "onnxruntime")
#: Other processes' load beyond which figures are doubtful.
_BUSY = 0.5


def describe() -> dict[str, str]:
    """The machine and the versions of what runs on it, in words."""
    # wrk has no option for its version alone; it prints it with its usage.
    usage = subprocess.run([require_wrk(), "-v"], capture_output=True, text=True, check=False)
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": versions,
        "load generator": (usage.stdout or usage.stderr).partition(" Copyright")[0].strip(),
    }


def busy() -> str | None:
    """A warning where the machine has other things to do."""
    load = os.getloadavg()[0]
    if load < _BUSY:
        return None
    return f"the machine was busy before the start (load {load:.1f}): the figures are doubtful"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
