"""What every door shares: the request's id, errors as problem JSON, metrics, the access log."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from gateway.api.connection import Arrival
from gateway.backends.base import Target
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    shorten,
)
from gateway.routing.router import Router
from gateway.telemetry import logger, request_id

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ID_HEADER = "X-Request-Id"
_MAX_CACHED_METRICS = 1_000


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The envelope around the application's doors."""
    resource = request.match_info.route.resource
    # The route's pattern, never the raw path: labels must stay few.
    door = resource.canonical if resource is not None else ""
    envelope = request.app[ENVELOPE]
    visit = request[VISIT] = Visit(request, door)
    try:
        response = await handler(request)
    except Exception as error:
        response = envelope.failure(visit, error, request.app.router)
    response.headers[ID_HEADER] = visit.identity
    envelope.observe(visit, response.status)
    return response


class Visit:
    """One request on its way through a door; ``target`` is set once it is known."""

    __slots__ = ("door", "identity", "request", "started", "target")

    def __init__(self, request: web.BaseRequest | Arrival, door: str) -> None:
        self.started = time.perf_counter()
        self.request = request
        self.door = door
        self.identity = request_id(request.headers)
        self.target: Target | None = None


class Envelope:
    """Turns whatever is raised into problem JSON, and keeps metrics and the access log."""

    def __init__(self, router: Router) -> None:
        self._telemetry = router.telemetry
        self._settings = router.settings
        self._metrics: dict[
            tuple[str, int, Target | None], tuple[Callable[[], None], Callable[[float], None]]
        ] = {}

    def failure(
        self, visit: Visit, error: Exception, routes: web.UrlDispatcher | None = None
    ) -> web.Response:
        """The answer to a request that raised; what is unexpected is logged, never shown."""
        status, headers, content = self.problem(visit, error, routes)
        return web.Response(body=content, status=status, headers=headers)

    def problem(
        self, visit: Visit, error: Exception, routes: web.UrlDispatcher | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """The same as status, headers and body."""
        problem = self._problem(visit, error, routes)
        if problem.status >= 500:
            unexpected = error if problem.slug == GatewayError.slug else None
            fields = self._fields(visit, problem.status)
            logger.error(problem.detail, exc_info=unexpected, extra={"fields": fields})
        headers = {"Content-Type": "application/problem+json", ID_HEADER: visit.identity}
        content = msgspec.json.encode(problem.problem(visit.identity))
        return problem.status, problem.headers | headers, content

    def observe(self, visit: Visit, status: int) -> None:
        """Count the request, and log it where the settings ask for that."""
        seconds = time.perf_counter() - visit.started
        key = (visit.door, status, visit.target)
        metrics = self._metrics.get(key)
        if metrics is None:
            metrics = self._make_metrics(*key)
        count, measure = metrics
        count()
        measure(seconds)
        if self._settings.access_log and logger.isEnabledFor(logging.INFO):
            fields = self._fields(visit, status) | {"duration_ms": round(seconds * 1000, 3)}
            logger.info("request", extra={"fields": fields})

    def _make_metrics(
        self, door: str, status: int, target: Target | None
    ) -> tuple[Callable[[], None], Callable[[float], None]]:
        model, backend, lineage = "", "", ""
        if target is not None:
            model, backend, lineage = target.model.name, target.backend, target.lineage
        labels = (door, str(status), model, backend, lineage)
        count = self._telemetry.requests.labels(*labels).inc
        measure = self._telemetry.request_seconds.labels(door, backend).observe
        if len(self._metrics) >= _MAX_CACHED_METRICS:
            self._metrics.clear()
        self._metrics[door, status, target] = count, measure
        return count, measure

    def _problem(
        self, visit: Visit, error: Exception, routes: web.UrlDispatcher | None
    ) -> GatewayError:
        """What the client is told of anything a door or aiohttp raised."""
        if isinstance(error, GatewayError):
            return error
        if isinstance(error, web.HTTPRequestEntityTooLarge):
            return BodyTooLarge(self._settings.max_body_bytes)
        if isinstance(error, web.HTTPMethodNotAllowed):
            return MethodNotAllowed(error.method, sorted(error.allowed_methods))
        if isinstance(error, web.HTTPNotFound) and routes is not None:
            doors = {resource.canonical for resource in routes.resources()}
            return NotFound("path", visit.request.path, sorted(doors))
        if isinstance(error, web.HTTPException) and error.status < 500:
            return InvalidRequest(shorten(error.reason))
        if isinstance(error, web.RequestPayloadError):
            return InvalidRequest("body: it broke off before its announced end", field="body")
        return GatewayError("something went wrong inside the gateway; its log has the details")

    def _fields(self, visit: Visit, status: int) -> dict[str, object]:
        fields: dict[str, object] = {
            "request_id": visit.identity,
            "method": visit.request.method,
            "path": shorten(visit.request.path, 200),
            "status": status,
            "client": visit.request.remote,
        }
        if visit.target is not None:
            fields |= {"backend": visit.target.backend, "model": visit.target.model.name}
        return fields


#: Where a request keeps its visit, and the application its envelope.
VISIT = web.RequestKey("visit", Visit)
ENVELOPE = web.AppKey("envelope", Envelope)
