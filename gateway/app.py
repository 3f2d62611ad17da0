"""Wires the parts into an aiohttp application; no logic of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from gateway.api import health, models, predict
from gateway.api.middleware import envelope
from gateway.api.state import STATE, State
from gateway.backends.base import Backend
from gateway.config import Settings
from gateway.routing.router import open_router
from gateway.telemetry import logger


def create_app(
    settings: Settings, backends: Mapping[str, Backend] | None = None
) -> web.Application:
    """The application that serves the repository the settings name.

    ``backends`` replaces the adapters the settings describe. Raises :class:`ModelError` where the
    repository holds nothing to serve.
    """
    app = web.Application(middlewares=[envelope], client_max_size=settings.max_body_bytes)
    app[STATE] = State(open_router(settings, backends))
    app.add_routes(
        [
            web.post("/v1/predict", predict.predict),
            web.get("/v1/models", models.models),
            web.get("/v1/models/{name}", models.model),
            web.get("/v1/backends", health.backends),
            web.get("/healthz", health.healthz),
            web.get("/readyz", health.readyz),
            web.get("/metrics", health.metrics),
        ]
    )
    app.cleanup_ctx.append(_lifespan)
    return app


async def _lifespan(app: web.Application) -> AsyncIterator[None]:
    """Load the models before the first request, close the backends after the last."""
    async with app[STATE].router as router:
        for reason in await router.unready():
            logger.warning("not ready: %s", reason)
        yield
