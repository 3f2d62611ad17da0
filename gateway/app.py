"""Wires the parts into an aiohttp application; no logic of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from gateway.api import compare, health, models, openapi, page, predict, routing
from gateway.api.admission import count_ended
from gateway.api.connection import Door
from gateway.api.drain import DRAIN, Drain
from gateway.api.envelope import ALIASES, ENVELOPE, Envelope, middleware
from gateway.api.guard import GUARD, Guard, follow_keys, open_ring
from gateway.api.guarded import GuardedDoor
from gateway.api.runner import NoDoor, Runner
from gateway.api.state import ROUTER
from gateway.backends.base import Backend
from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.logs import logger
from gateway.metrics import WORKER_VARIABLE
from gateway.routing.router import open_router
from gateway.tls import server_context

#: The doors of clients, of whoever watches the process, and of whoever manages the gateway;
#: :mod:`gateway.api.guard` says who may pass which.
_DOORS = [
    web.post(predict.PATH, predict.predict),
    web.post(compare.PATH, compare.compare),
    web.get("/v1/models", models.models),
    web.get("/v1/models/{name}", models.model),
    web.get(openapi.PATH, openapi.openapi),
]
_HEALTH = [
    web.get("/healthz", health.healthz),
    web.get(health.READY_PATH, health.readyz),
]
_MANAGEMENT = [
    web.get("/v1/backends", health.backends),
    web.get("/metrics", health.metrics),
    web.get("/v1/shadow", routing.shadow),
    web.get("/v1/routing", routing.show),
    web.put("/v1/routing/{model}", routing.replace),
    web.post("/v1/routing/{model}/shift", routing.move),
]

#: The doors that settings give a second path, by their first.
_SECOND = {
    predict.PATH: lambda path: web.post(path, predict.predict),
    health.READY_PATH: lambda path: web.get(path, health.readyz),
}


def create_app(
    settings: Settings, backends: Mapping[str, Backend] | None = None
) -> web.Application:
    """The application that serves the repository the settings name.

    ``backends`` replaces the adapters the settings describe. Raises :class:`ModelError` where the
    repository holds nothing to serve, :class:`ConfigError` where settings do not fit together.
    """
    if settings.management_port and settings.management_port == settings.port:
        raise ConfigError("management_port: it must be another than port")
    app = _application(settings)
    app[ALIASES] = aliases = _aliases(settings)
    app[GUARD] = Guard(open_ring(settings))
    app[DRAIN] = Drain()
    app[ROUTER] = open_router(settings, backends)
    app[ENVELOPE] = Envelope(app[ROUTER])
    app[predict.DOOR] = predict.PredictDoor(app[ROUTER], app[ENVELOPE])
    app[compare.DOOR] = compare.CompareDoor(app[ROUTER], app[ENVELOPE])
    app[page.WEB] = page.Folder()
    app.add_routes([*_DOORS, *_HEALTH, *page.routes()])
    if not settings.management_port:
        app.add_routes(_MANAGEMENT)
    for path, door in aliases.items():
        app.add_routes([_SECOND[door](path)])
    app.cleanup_ctx.append(_lifespan)
    app.cleanup_ctx.append(follow_keys)
    return app


async def start(app: web.Application, host: str, port: int) -> Runner:
    """Load the models and listen; ``runner.addresses`` says where, ``runner.cleanup()`` stops.

    Where the settings give the management doors a port, they are ``runner.companion``'s. Raises
    OSError where an address cannot be had, :class:`ConfigError` where the certificate cannot.
    """
    settings = app[ROUTER].settings
    context = server_context(settings)
    ended = count_ended(app[ROUTER].telemetry.registry)
    # Several workers may listen on one port: the kernel shares the connections out among them.
    shared = WORKER_VARIABLE in os.environ
    runner = Runner(app, _door(app), app[DRAIN], settings, ended)
    try:
        await runner.setup()
        await runner.listen(host, port, context, shared)
        if settings.management_port:
            private = Runner(_management(app), NoDoor(), app[DRAIN], settings, ended)
            runner.companion = private
            await private.setup()
            address = settings.management_host, settings.management_port
            await private.listen(*address, context, shared)
    except BaseException:
        await runner.cleanup()
        raise
    return runner


def _application(settings: Settings) -> web.Application:
    return web.Application(middlewares=[middleware], client_max_size=settings.max_body_bytes)


def _aliases(settings: Settings) -> Mapping[str, str]:
    """Second paths and the doors they lead to; raises :class:`ConfigError` where one is taken."""
    taken = {route.path for route in [*_DOORS, *_HEALTH, *_MANAGEMENT]} | set(page.DOORS)
    asked = {
        "predict_route": (settings.predict_route, predict.PATH),
        "health_route": (settings.health_route, health.READY_PATH),
    }
    aliases: dict[str, str] = {}
    for name, (path, door) in asked.items():
        if not path or path == door:
            continue
        if path in taken:
            raise ConfigError(f"{name}: {path} is taken; it must be a path of its own")
        taken.add(path)
        aliases[path] = door
    return aliases


def _management(app: web.Application) -> web.Application:
    """The application of the management port, of the same parts."""
    private = _application(app[ROUTER].settings)
    parts: Mapping[Any, Any] = app
    for key, part in parts.items():
        private[key] = part
    private[GUARD] = Guard(app[GUARD].ring, private=True)
    private.add_routes([*_MANAGEMENT, *_HEALTH])
    return private


def _door(app: web.Application) -> Door:
    """The door that connections have of their own."""
    ring, door = app[GUARD].ring, app[predict.DOOR]
    return door if ring is None else GuardedDoor(door, ring, app[ENVELOPE])


async def _lifespan(app: web.Application) -> AsyncIterator[None]:
    """Load the models before the first request, close the backends after the last."""
    async with app[ROUTER] as router:
        for reason in await router.unready():
            logger.warning("not ready: %s", reason)
        following = asyncio.create_task(router.follow())
        yield
        following.cancel()
