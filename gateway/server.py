"""Runs the application in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import suppress

from aiohttp import web

from gateway import memory
from gateway.api.drain import DRAIN
from gateway.api.runner import Runner
from gateway.api.state import ROUTER
from gateway.app import create_app, start
from gateway.config import Settings
from gateway.files import raise_limit
from gateway.lifeline import own_lifeline, say_listening
from gateway.logs import configure_logging, logger

if sys.platform == "win32":
    from asyncio import run as run_loop
else:
    from uvloop import run as run_loop


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; raises :class:`GatewayError` or OSError where it cannot."""
    configure_logging(settings.log_level)
    memory.return_large_blocks()
    clients = raise_limit(settings.max_client_connections)
    if clients < settings.max_client_connections:
        logger.warning("the limit of open files leaves room for %d clients only", clients)
    run_loop(serve(create_app(settings), settings))


async def serve(app: web.Application, settings: Settings) -> None:
    """Load the models, listen, log the address, and stop in order when told to.

    SIGTERM comes from what manages the process, a load balancer in front of it perhaps: the
    gateway says that it is not ready, and serves on until those who ask have seen that. SIGINT is a
    person's Ctrl-C, and skips this; so does a worker whose parent has gone, because its successor
    wants the port.
    """
    told, hurried = asyncio.Event(), asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if told.is_set() or number is signal.SIGINT:
            hurried.set()
        told.set()

    def on_orphaned(line: socket.socket) -> None:
        loop.remove_reader(line)
        logger.warning("the parent has gone")
        on_signal(signal.SIGINT)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    line = own_lifeline()
    if line is not None:
        loop.add_reader(line, on_orphaned, line)
    runner = await start(app, settings.host, settings.port)
    try:
        memory.spare_collector()
        if line is not None:
            say_listening(line)
        _say_where(runner, "https" if settings.tls_certificate else "http")
        await told.wait()
        app[DRAIN].begun = True
        app[ROUTER].telemetry.draining.set(1)
        if not hurried.is_set():
            logger.info("draining for %g s", settings.drain_grace_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(hurried.wait(), settings.drain_grace_s)
        logger.info("stopping")
    finally:
        await runner.cleanup()


def _say_where(runner: Runner, scheme: str) -> None:
    if runner.companion is not None:
        for address in runner.companion.addresses:
            logger.info("management on %s://%s:%s", scheme, *address[:2])
    for address in runner.addresses:
        logger.info("listening on %s://%s:%s", scheme, *address[:2])
