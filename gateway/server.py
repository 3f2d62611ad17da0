"""Runs the application in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys

from aiohttp import web

from gateway.app import create_app, start
from gateway.config import Settings
from gateway.logs import configure_logging, logger

if sys.platform == "win32":
    from asyncio import run as run_loop
else:
    from uvloop import run as run_loop


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; raises :class:`ModelError` or OSError where it cannot."""
    configure_logging(settings.log_level)
    run_loop(serve(create_app(settings), settings))


async def serve(app: web.Application, settings: Settings) -> None:
    """Load the models, listen, log the address, and stop in order when told to."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    runner = await start(app, settings.host, settings.port)
    try:
        _settle_memory()
        for address in runner.addresses:
            logger.info("listening on http://%s:%s", *address[:2])
        await stop.wait()
        logger.info("stopping")
    finally:
        await runner.cleanup()


def _settle_memory() -> None:
    """Spare the garbage collector what lives as long as the process, and run it less often.

    Requests make hardly any reference cycles; by default it would look for some every few requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
