"""``/healthz``, ``/readyz``, ``/v1/backends``, ``/metrics``: how the gateway and backends do."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway import __version__
from gateway.api.drain import DRAIN
from gateway.api.state import ROUTER, json_response
from gateway.metrics import METRICS_CONTENT_TYPE
from gateway.routing.router import Router

READY_PATH = "/readyz"


async def healthz(request: web.Request) -> web.Response:
    """Liveness: the process answers. Says nothing about models or backends."""
    return json_response({"status": "alive", "version": __version__})


async def readyz(request: web.Request) -> web.Response:
    """Readiness: 200 once every required backend has answered a warm-up prediction, else 503.

    It is 503, too, from the moment the gateway was told to stop.
    """
    if request.app[DRAIN].begun:
        reasons = ["draining: the gateway is being stopped"]
    else:
        reasons = await request.app[ROUTER].unready()
    if reasons:
        return json_response({"status": "not ready", "reasons": reasons}, status=503)
    return json_response({"status": "ready"})


async def backends(request: web.Request) -> web.Response:
    """Every backend with its state, whether a stand-in answers, and its last error."""
    return json_response({"backends": await survey(request.app[ROUTER])})


async def metrics(request: web.Request) -> web.Response:
    """Prometheus metrics in the text format."""
    telemetry = request.app[ROUTER].telemetry
    for state in await request.app[ROUTER].health.refresh():
        target = state.target
        telemetry.backend_ready.labels(
            target.model.name, target.model.version, target.backend, target.lineage
        ).set(state.health.ready)
    return web.Response(body=telemetry.exposition(), headers={"Content-Type": METRICS_CONTENT_TYPE})


async def survey(router: Router) -> list[dict[str, Any]]:
    """The states of all targets, gathered by backend; the command line shows the same."""
    await router.health.refresh()
    active = router.versions.active()
    report = []
    for name, backend in router.backends.items():
        states = [
            state
            for target, state in router.health.states.items()
            if target.backend == name and target in router.versions.lanes
        ]
        ready = [state.health.ready for state in states if state.target in active]
        failed = [state for state in states if state.last_error]
        last = max(failed, key=lambda state: state.last_error_at or "", default=None)
        report.append(
            {
                "name": name,
                "url": backend.url,
                "state": "ready" if all(ready) else "degraded" if any(ready) else "down",
                "required": name in router.settings.required,
                "stand_in": next((s.health.stand_in for s in states if s.health.stand_in), None),
                "last_error": last.last_error if last else None,
                "last_error_at": last.last_error_at if last else None,
                "models": [
                    {
                        # First: what the gateway says stands, whatever an adapter adds.
                        **backend.facts(state.target),
                        "model": state.target.model.name,
                        "version": state.target.model.version,
                        "lineage": state.target.lineage,
                        "active": state.target in active,
                        "ready": state.health.ready,
                        "breaker": router.versions.lanes[state.target].breaker.state,
                        "queued_rows": router.versions.lanes[state.target].queued_rows,
                        "detail": state.health.detail,
                    }
                    for state in states
                ],
            }
        )
    return report
