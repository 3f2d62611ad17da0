"""Several gateway processes on one port, and the parent that keeps them alive.

Each worker is a process of its own with its own event loop and ONNX Runtime sessions; the kernel
shares connections out among them (``SO_REUSEPORT``). The parent serves nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from prometheus_client.multiprocess import mark_process_dead

from gateway.config import Settings, to_environment
from gateway.logs import configure_logging, logger
from gateway.metrics import WORKER_VARIABLE

#: Seconds before a worker that died is replaced, doubled each time up to the last, and how long it
#: must have lived for the count to begin anew.
_FIRST_PAUSE_S, _LAST_PAUSE_S, _HEALTHY_S = 0.1, 10.0, 30.0
#: Seconds workers get to finish what they are at.
_STOP_S = 30.0
_POLL_S = 0.1


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    #: When to start it again, while it is not running.
    due: float = 0.0


def supervise(settings: Settings) -> None:
    """Serve with ``settings.workers`` processes until SIGINT or SIGTERM.

    Raises OSError where the address cannot be listened on.
    """
    configure_logging(settings.log_level)
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    workers = [_Worker(number) for number in range(1, settings.workers + 1)]
    with _port(settings) as port, tempfile.TemporaryDirectory(prefix="gateway-") as folder:
        environment = {
            **os.environ,
            **to_environment(msgspec.structs.replace(settings, port=port, workers=1)),
            WORKER_VARIABLE: folder,
        }
        try:
            while not stopping:
                for worker in workers:
                    _look_after(worker, environment)
                time.sleep(_POLL_S)
        finally:
            _stop([worker.process for worker in workers if worker.process is not None])


def _look_after(worker: _Worker, environment: dict[str, str]) -> None:
    """Start the worker if it is due; notice if it has died."""
    now = time.monotonic()
    if worker.process is not None:
        status = worker.process.poll()
        if status is None:
            return
        mark_process_dead(worker.process.pid, environment[WORKER_VARIABLE])  # type: ignore[no-untyped-call]
        if now - worker.started > _HEALTHY_S:
            worker.pause_s = _FIRST_PAUSE_S
        logger.error(
            "worker %d ended with %d; starting another in %.1f s",
            worker.number,
            status,
            worker.pause_s,
        )
        worker.process = None
        worker.due = now + worker.pause_s
        worker.pause_s = min(worker.pause_s * 2, _LAST_PAUSE_S)
    if now >= worker.due:
        worker.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve"], env=environment
        )
        worker.started = now
        logger.info("worker %d has pid %d", worker.number, worker.process.pid)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOP_S
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _port(settings: Settings) -> Iterator[int]:
    """The port, held for the workers: nobody without ``SO_REUSEPORT`` can take it meanwhile."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((settings.host, settings.port))  # taken by another program: fails here
    with socket.socket(family, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((settings.host, settings.port))
        yield holder.getsockname()[1]
