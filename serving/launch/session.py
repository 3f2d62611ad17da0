"""One run of ``gateway up``: from the start of the servers to the signal that ends it."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from gateway.models.repository import Repository
from serving.launch.board import Board
from serving.launch.process import Server
from serving.launch.supervisor import Supervisor

#: The shell's code for a command ended by Ctrl-C.
_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run_until_told(
    supervisor: Supervisor, board: Board, gateway: Server, repository: Path
) -> int:
    """Start everything, keep it running until SIGINT, SIGTERM or SIGHUP, stop everything.

    A second signal kills instead of stopping. Returns the exit code: 0, or 130 when killed.
    Raises ``LaunchError`` when a server does not start; all are stopped then, too.
    """
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    killed = asyncio.Event()

    def on_signal() -> None:
        if told.is_set():
            killed.set()
            supervisor.kill()
        told.set()

    for number in _SIGNALS:
        # Under nohup the end of the terminal means nothing.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, on_signal)
    work = asyncio.create_task(_start_and_watch(supervisor, board, gateway, repository))
    waiting = asyncio.create_task(told.wait())
    try:
        await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        work.cancel()
        waiting.cancel()
        await asyncio.gather(work, waiting, return_exceptions=True)
        # From here on a first signal finds everything being stopped already.
        told.set()
        await supervisor.stop()
        board.update(supervisor.describe())
    if not work.cancelled():
        work.result()
    board.say("killed" if killed.is_set() else "stopped")
    return _INTERRUPTED if killed.is_set() else 0


async def _start_and_watch(
    supervisor: Supervisor, board: Board, gateway: Server, repository: Path
) -> None:
    supervisor.on_change = lambda: board.update(supervisor.describe())
    started = asyncio.get_running_loop().time()
    await supervisor.start()
    seconds = asyncio.get_running_loop().time() - started
    board.say(f"ready after {seconds:.1f} s: {gateway.url}")
    backends = ["onnx", *(one.name for one in supervisor.servers if one is not gateway)]
    board.say(_invitation(gateway.url, repository, backends))
    for server in supervisor.describe():
        if server.stand_in:
            board.say(f"{server.name} is a {server.detail}")
    board.say("Ctrl-C stops everything")
    await supervisor.watch()


def _invitation(url: str, repository: Path, backends: Sequence[str]) -> str:
    """A ``curl`` with the first model's example payload."""
    model = next(iter(Repository.scan(repository)))
    payload = shlex.quote(json.dumps(model.manifest.example, ensure_ascii=False))
    target = shlex.quote(f"{url}/v1/predict?backend={backends[-1]}&model={model.name}")
    return (
        f"Try one of the backends {', '.join(backends)}:\n"
        f"  curl -s {target} -H 'Content-Type: application/json' -d {payload}"
    )
