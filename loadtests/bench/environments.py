"""An opponent's own virtual environment, made at first use."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.errors import BenchError

_MARKER = "installed.txt"


class Environment:
    """A folder with a virtual environment that holds ``requirements``, pinned."""

    def __init__(self, folder: Path, requirements: Sequence[str]) -> None:
        self.folder = folder
        self.requirements = tuple(requirements)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    @property
    def installed(self) -> bool:
        """Whether it holds exactly these requirements for this Python."""
        try:
            return (self.folder / _MARKER).read_text(encoding="utf-8") == self._content()
        except OSError:
            return False

    def install(self) -> None:
        """Make it anew unless it is there; raises :class:`BenchError` with pip's last words."""
        if self.installed:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._run(sys.executable, "-m", "venv", str(self.folder))
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        self._run(*pip, *self.requirements)
        (self.folder / _MARKER).write_text(self._content(), encoding="utf-8")

    def _content(self) -> str:
        return "\n".join([sys.version, *self.requirements, ""])

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip().splitlines()
            raise BenchError(f"{self.folder.name} cannot be installed: {' '.join(words[-2:])}")
