"""What TorchServe needs on this machine: Java and its Python package."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from serving.launch.errors import LaunchError

_MIN_JAVA = 11
_INSTALL_JAVA = (
    f"Install Java {_MIN_JAVA} or newer, on Debian and Ubuntu: apt-get install"
    " openjdk-17-jre-headless (or leave TorchServe out: --no-torchserve)"
)


def find_java() -> str:
    """The Java to run: of ``JAVA_HOME``, else of ``PATH``; :class:`LaunchError` if none will do."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin") if home else None)
    if java is None:
        where = f"in JAVA_HOME ({home})" if home else "on PATH"
        raise LaunchError(f"TorchServe needs Java, and there is none {where}. {_INSTALL_JAVA}")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    if told.returncode != 0 or match is None:
        raise LaunchError(f"{java} does not run: {told.stderr.strip()}. {_INSTALL_JAVA}")
    if int(match[1]) < _MIN_JAVA:
        raise LaunchError(f"{java} is Java {match[1]}, which is too old. {_INSTALL_JAVA}")
    return java


def find_torchserve() -> Path:
    """The folder the ``ts`` package is installed in; :class:`LaunchError` if it is not."""
    # Found without importing it, which would take a second and need torch.
    spec = importlib.util.find_spec("ts")
    for location in (spec.submodule_search_locations or []) if spec is not None else []:
        if Path(location, "frontend", "model-server.jar").is_file():
            return Path(location).parent
    raise LaunchError(
        f"TorchServe is not installed for {sys.executable}; install it with:"
        " pip install '.[torchserve]' (or leave it out: --no-torchserve)"
    )
