"""Wires the parts into an aiohttp application; no logic of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from gateway.api import health, models, openapi, predict, routing
from gateway.api.connection import Runner
from gateway.api.envelope import ENVELOPE, Envelope, middleware
from gateway.api.state import ROUTER
from gateway.backends.base import Backend
from gateway.config import Settings
from gateway.logs import logger
from gateway.metrics import WORKER_VARIABLE
from gateway.routing.router import open_router


def create_app(
    settings: Settings, backends: Mapping[str, Backend] | None = None
) -> web.Application:
    """The application that serves the repository the settings name.

    ``backends`` replaces the adapters the settings describe. Raises :class:`ModelError` where the
    repository holds nothing to serve.
    """
    app = web.Application(middlewares=[middleware], client_max_size=settings.max_body_bytes)
    app[ROUTER] = open_router(settings, backends)
    app[ENVELOPE] = Envelope(app[ROUTER])
    app[predict.DOOR] = predict.PredictDoor(app[ROUTER], app[ENVELOPE])
    app.add_routes(
        [
            web.post(predict.PATH, predict.predict),
            web.get("/v1/models", models.models),
            web.get("/v1/models/{name}", models.model),
            web.get("/v1/backends", health.backends),
            web.get("/healthz", health.healthz),
            web.get("/readyz", health.readyz),
            web.get("/metrics", health.metrics),
            web.get(openapi.PATH, openapi.openapi),
            web.get("/v1/routing", routing.show),
            web.get("/v1/shadow", routing.shadow),
        ]
    )
    app.cleanup_ctx.append(_lifespan)
    return app


async def start(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Load the models and listen; ``runner.addresses`` says where, ``runner.cleanup()`` stops."""
    runner = Runner(app, app[predict.DOOR])
    await runner.setup()
    # Several workers may listen on one port: the kernel shares the connections out among them.
    shared = WORKER_VARIABLE in os.environ
    await web.TCPSite(runner, host, port, reuse_port=shared).start()
    return runner


async def _lifespan(app: web.Application) -> AsyncIterator[None]:
    """Load the models before the first request, close the backends after the last."""
    async with app[ROUTER] as router:
        for reason in await router.unready():
            logger.warning("not ready: %s", reason)
        following = asyncio.create_task(router.follow())
        yield
        following.cancel()
