"""Several gateway processes on one port, and the parent that keeps them alive.

Each worker is a process of its own with its own event loop and ONNX Runtime sessions; the kernel
shares connections out among them (``SO_REUSEPORT``). The parent serves nothing. The first worker
shows whether a start can succeed; the others follow once it listens.
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
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import msgspec
from prometheus_client.multiprocess import mark_process_dead

from gateway.api.guard import open_ring
from gateway.config import Settings, to_environment
from gateway.lifeline import Lifeline
from gateway.logs import configure_logging, logger
from gateway.metrics import WORKER_VARIABLE
from gateway.models.cpus import available_cpus
from gateway.tls import server_context

#: Seconds before a worker that died is replaced, doubled each time up to the last, and how long it
#: must have lived for the count to begin anew.
_FIRST_PAUSE_S, _LAST_PAUSE_S, _HEALTHY_S = 0.1, 10.0, 30.0
#: Seconds workers get to end beyond those that their drain and requests in flight may take.
_STOP_S = 15.0
_POLL_S = 0.1


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes] | None = None
    line: Lifeline | None = None
    #: Whether it has ever listened.
    listened: bool = False
    started: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    #: When to start it again, while it is not running.
    due: float = 0.0


def supervise(settings: Settings) -> None:
    """Serve with ``settings.workers`` processes until SIGINT or SIGTERM, which they get, too.

    Raises OSError where an address cannot be listened on, :class:`ConfigError` where the
    certificate or the API keys cannot be used, SystemExit where the first worker, which has said
    why, could not start.
    """
    configure_logging(settings.log_level)
    server_context(settings)
    open_ring(settings)
    received: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: received.append(number))
    workers = [_Worker(number) for number in range(1, settings.workers + 1)]
    with (
        _port(settings.host, settings.port) as port,
        _management_port(settings),
        tempfile.TemporaryDirectory(prefix="gateway-") as folder,
    ):
        environment = {**os.environ, **worker_environment(settings, port), WORKER_VARIABLE: folder}
        try:
            while not received:
                proven = any(worker.listened for worker in workers)
                for worker in workers if proven else workers[:1]:
                    _look_after(worker, environment, proven)
                time.sleep(_POLL_S)
        finally:
            processes = [worker.process for worker in workers if worker.process is not None]
            _stop(processes, received, settings.drain_grace_s + settings.shutdown_s + _STOP_S)


def worker_environment(settings: Settings, port: int) -> dict[str, str]:
    """The environment variables of each worker: they share the cores out among them."""
    threads = settings.onnx_threads or max(1, available_cpus() // settings.workers)
    return to_environment(
        msgspec.structs.replace(settings, port=port, workers=1, onnx_threads=threads)
    )


def _look_after(worker: _Worker, environment: dict[str, str], proven: bool) -> None:
    """Start the worker if it is due; notice if it listens, and if it has died.

    Without ``proven``, that a worker has ever listened, one that fails raises SystemExit.
    """
    now = time.monotonic()
    if worker.process is not None:
        status = worker.process.poll()
        if worker.line is not None and worker.line.says_listening():
            worker.listened = proven = True
        if status is None:
            return
        _bury(worker, environment[WORKER_VARIABLE])
        if status and not proven:
            logger.error("worker %d ended with %d before it listened", worker.number, status)
            sys.exit(1)
        if now - worker.started > _HEALTHY_S:
            worker.pause_s = _FIRST_PAUSE_S
        logger.error(
            "worker %d ended with %d; starting another in %.1f s",
            worker.number,
            status,
            worker.pause_s,
        )
        worker.due = now + worker.pause_s
        worker.pause_s = min(worker.pause_s * 2, _LAST_PAUSE_S)
    if now >= worker.due:
        _start(worker, environment)
        worker.started = now


def _start(worker: _Worker, environment: dict[str, str]) -> None:
    worker.line = Lifeline()
    worker.process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve"],
        env={**environment, **worker.line.variables},
        pass_fds=worker.line.inherited,
    )
    worker.line.started()
    logger.info("worker %d has pid %d", worker.number, worker.process.pid)


def _bury(worker: _Worker, folder: str) -> None:
    """Forget the worker's process, which has ended, and what its metrics say of the present."""
    if worker.process is not None:
        mark_process_dead(worker.process.pid, folder)  # type: ignore[no-untyped-call]
    if worker.line is not None:
        worker.line.close()
    worker.process = worker.line = None


def _stop(processes: list[subprocess.Popen[bytes]], received: list[int], within_s: float) -> None:
    """Pass on the signals, also those that come meanwhile, until the workers have ended."""
    deadline = time.monotonic() + within_s
    passed_on = 0
    while any(process.poll() is None for process in processes):
        signals = received or [signal.SIGTERM]
        for process in processes:
            for number in signals[passed_on:]:
                process.send_signal(number)
        passed_on = len(signals)
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(_POLL_S)


@contextmanager
def _port(host: str, port: int) -> Iterator[int]:
    """The port, held for the workers: nobody without ``SO_REUSEPORT`` can take it meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))  # taken by another program: fails here
    with socket.socket(family, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
        yield holder.getsockname()[1]


def _management_port(settings: Settings) -> AbstractContextManager[int | None]:
    if not settings.management_port:
        return nullcontext()
    return _port(settings.management_host, settings.management_port)
