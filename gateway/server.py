"""Runs the application in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys

from aiohttp import web

from gateway.app import create_app
from gateway.config import Settings
from gateway.telemetry import configure_logging, logger

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
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        for address in runner.addresses:
            logger.info("listening on http://%s:%s", *address[:2])
        await stop.wait()
        logger.info("stopping")
    finally:
        await runner.cleanup()
