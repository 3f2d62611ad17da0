"""A server that describes itself as a gateway does and answers predictions as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.api.models import description, listing
from gateway.models.repository import Repository

Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def fake_gateway(
    repository: Path, predict: Handler, stand_in: str | None = None, ready: bool = True
) -> AsyncIterator[str]:
    """The address of one that serves the only model of ``repository`` by ``predict``."""
    models = Repository.scan(repository)
    entry = models.get()

    def backends() -> list[dict[str, Any]]:
        state = {"model": entry.name, "ready": ready, "detail": "" if ready else "it sleeps"}
        return [
            {"name": name, "stand_in": stand_in, "models": [state]}
            for name in entry.manifest.backends
        ]

    def answering(content: Any) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return web.json_response(content)

        return answer

    app = web.Application()
    app.router.add_get("/v1/models", answering(listing(models)))
    app.router.add_get(f"/v1/models/{entry.name}", answering(description(entry, models)))
    app.router.add_get("/v1/backends", answering({"backends": backends()}))
    app.router.add_post("/v1/predict", predict)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def predictions(rows: int, backend: str = "onnx", lineage: str = "pytorch") -> dict[str, Any]:
    """What a gateway answers for so many rows of the mixed model."""
    return {
        "model": "mixed",
        "version": "1",
        "backend": backend,
        "lineage": lineage,
        "predictions": [{"total": 1.0, "named": "a"}] * rows,
        "request_id": "1",
    }
