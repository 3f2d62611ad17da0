"""What every door shares: the request's id, errors as problem JSON, metrics, the access log."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from gateway.api.state import STATE
from gateway.backends.base import Target
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    shorten,
)
from gateway.telemetry import logger, request_id

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Set by the door once it knows them; read here for metrics and the log.
TARGET = web.RequestKey("target", Target)
REQUEST_ID = web.RequestKey("request_id", str)


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Wrap every request; nothing that is raised inside reaches the client as it is."""
    started = time.perf_counter()
    identity = request[REQUEST_ID] = request_id(request.headers)
    try:
        response = await handler(request)
    except Exception as error:
        problem = as_gateway_error(error, request)
        response = problem_response(problem, identity)
        if problem.status >= 500:
            unexpected = error if problem.slug == GatewayError.slug else None
            logger.error(problem.detail, exc_info=unexpected, extra=_fields(request, response))
    response.headers["X-Request-Id"] = identity
    _observe(request, response, time.perf_counter() - started)
    return response


def problem_response(error: GatewayError, identity: str | None) -> web.Response:
    """The error as RFC 9457 problem JSON with its own headers."""
    return web.Response(
        body=msgspec.json.encode(error.problem(identity)),
        status=error.status,
        content_type="application/problem+json",
        headers=error.headers,
    )


def as_gateway_error(error: Exception, request: web.Request) -> GatewayError:
    """What the client is told of anything a door or aiohttp raised."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return BodyTooLarge(request.app[STATE].router.settings.max_body_bytes)
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(error.method, sorted(error.allowed_methods))
    if isinstance(error, web.HTTPNotFound):
        doors = {
            str(route.resource.canonical) for route in request.app.router.routes() if route.resource
        }
        return NotFound("path", request.path, sorted(doors))
    if isinstance(error, web.HTTPException) and error.status < 500:
        return InvalidRequest(shorten(error.reason))
    if isinstance(error, web.RequestPayloadError):
        return InvalidRequest("body: it broke off before its announced end", field="body")
    return GatewayError("something went wrong inside the gateway; its log has the details")


def _observe(request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    state = request.app[STATE]
    target = request.get(TARGET)
    door = _door(request)
    backend = target.backend if target else ""
    state.telemetry.requests.labels(
        door,
        str(response.status),
        target.model.name if target else "",
        backend,
        target.lineage if target else "",
    ).inc()
    state.telemetry.request_seconds.labels(door, backend).observe(seconds)
    if state.router.settings.access_log and logger.isEnabledFor(logging.INFO):
        fields = _fields(request, response)
        fields["fields"]["duration_ms"] = round(seconds * 1000, 3)
        logger.info("request", extra=fields)


def _door(request: web.Request) -> str:
    """The route's pattern, never the raw path: labels must stay few."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def _fields(request: web.Request, response: web.StreamResponse) -> dict[str, dict[str, object]]:
    target = request.get(TARGET)
    fields: dict[str, object] = {
        "request_id": request.get(REQUEST_ID),
        "method": request.method,
        "path": shorten(request.path, 200),
        "status": response.status,
        "client": request.remote,
    }
    if target is not None:
        fields |= {"backend": target.backend, "model": target.model.name}
    return {"fields": fields}
