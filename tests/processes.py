"""A gateway in a process of its own, for tests of what only a process shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.conftest import ROOT


class Gateway:
    """``gateway serve`` on a free port; a context manager that stops it again."""

    def __init__(self, repository: Path, *args: str, **environ: str) -> None:
        self._command = [sys.executable, "-m", "gateway", "serve", str(repository), "--port", "0"]
        self._command += args
        # Nobody follows its readiness, so it need not serve on after SIGTERM.
        defaults = {"PYTHONPATH": str(ROOT), "GATEWAY_DRAIN_GRACE_S": "0"}
        self._environ = os.environ | defaults | environ
        self.log: list[dict[str, object]] = []

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command, stderr=subprocess.PIPE, text=True, env=self._environ
        )
        self.url = self.read_to("listening on ")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def read_to(self, beginning: str) -> str:
        """Read on in its log to the next message that begins like this; returns the rest of it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(json.loads(line))
            message = str(self.log[-1]["message"])
            if message.startswith(beginning):
                return message.removeprefix(beginning)
        raise AssertionError(
            f"the gateway never said {beginning!r} and ended with {self.process.wait()}: {self.log}"
        )

    def stop(self, how: signal.Signals = signal.SIGTERM, within: float = 10) -> int:
        """Send a signal and wait; the exit status."""
        self.process.send_signal(how)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def rss_mb(self) -> float:
        """Resident memory in MB (10⁶ bytes)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6
