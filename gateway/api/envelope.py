"""What every door shares: the request's id, errors as problem JSON, metrics, the access log."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.api import wire
from gateway.api.connection import Arrival, Connection
from gateway.api.drain import DRAIN
from gateway.api.guard import GUARD
from gateway.api.page import DOORS
from gateway.backends.base import Target
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    shorten,
)
from gateway.logs import logger, request_fields
from gateway.routing.router import Router
from gateway.tracing import request_id, trace_id

if TYPE_CHECKING:
    from gateway.spans import RequestSpan

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ID_HEADER = wire.ID_HEADER
_MAX_CACHED_METRICS = 1_000


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The envelope around the application's doors."""
    resource = request.match_info.route.resource
    # The route's pattern, never the raw path: labels must stay few.
    door = resource.canonical if resource is not None else ""
    door = request.app[ALIASES].get(door, door)
    envelope = request.app[ENVELOPE]
    visit = request[VISIT] = Visit(request, door)
    try:
        request.app[GUARD].admit(door, request.method, request.headers)
        response = await handler(request)
    except Exception as error:
        response = envelope.failure(visit, error, request.app.router)
    response.headers[ID_HEADER] = visit.identity
    if request.app[DRAIN].begun and not _more_waits(request):
        response.force_close()
    envelope.observe(visit, response.status)
    return response


def _more_waits(request: web.Request) -> bool:
    """Whether the client has sent more requests before it got this one's answer."""
    protocol = request.protocol
    return isinstance(protocol, Connection) and protocol.pending


def _has_left(request: web.BaseRequest | Arrival, error: Exception) -> bool:
    """Whether the error is that the client has gone before its request had come whole."""
    gone = isinstance(request, web.BaseRequest) and request.transport is None
    return gone and isinstance(error, ConnectionError)


class Visit:
    """One request on its way through a door; the door sets what it knows, when it knows it.

    ``targets`` are those that may be asked, in order, and ``target`` is the one that has answered,
    or else the first. ``rows`` are the request's, ``batch_rows`` those that were answered together
    with them.
    """

    __slots__ = (
        "batch_rows",
        "door",
        "identity",
        "request",
        "rows",
        "span",
        "started",
        "target",
        "targets",
    )

    def __init__(self, request: web.BaseRequest | Arrival, door: str) -> None:
        self.started = time.perf_counter()
        self.request = request
        self.door = door
        self.identity = request_id(request.headers)
        self.span: RequestSpan | None = None
        self.target: Target | None = None
        self.targets: tuple[Target, ...] = ()
        self.rows = 0
        self.batch_rows = 0

    @property
    def about(self) -> dict[str, Any]:
        """Whom the request went to, and with how many rows."""
        target = self.target
        if target is None:
            return {}
        return {
            "model": target.model.name,
            "version": target.model.version,
            "backend": target.backend,
            "lineage": target.lineage,
            "rows": self.rows,
        }

    @property
    def tried(self) -> list[str]:
        """The backends up to the one that has answered, in order."""
        names = [target.backend for target in self.targets]
        return names[: self.targets.index(self.target) + 1] if self.target in self.targets else []


class Envelope:
    """Turns whatever is raised into problem JSON, and keeps metrics and the access log."""

    def __init__(self, router: Router) -> None:
        self._telemetry = router.telemetry
        self._settings = router.settings
        self._metrics: dict[
            tuple[str, int, Target | None], tuple[Callable[[float], None], Callable[[float], None]]
        ] = {}
        router.on_change(self._metrics.clear)  # versions that are gone

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
        return wire.problem(self.explain(visit, error, routes), visit.identity)

    def explain(
        self, visit: Visit, error: Exception, routes: web.UrlDispatcher | None = None
    ) -> GatewayError:
        """What the client is told of it."""
        problem = self._problem(visit, error, routes)
        if problem.status >= 500 and problem.logged:
            unexpected = error if problem.slug == GatewayError.slug else None
            fields = self._fields(visit, problem.status)
            logger.error(problem.detail, exc_info=unexpected, extra={"fields": fields})
        return problem

    def observe(self, visit: Visit, status: int) -> None:
        """Count the request, and log it where the settings ask for that."""
        seconds = time.perf_counter() - visit.started
        key = (visit.door, status, visit.target)
        metrics = self._metrics.get(key)
        if metrics is None:
            metrics = self._make_metrics(*key)
        count, measure = metrics
        count(1)
        measure(seconds)
        if visit.span is not None:
            visit.span.finish(status, **visit.about, batch_rows=visit.batch_rows)
        if self._settings.access_log and logger.isEnabledFor(logging.INFO):
            fields = self._fields(visit, status, seconds)
            logger.info("request", extra={"fields": fields})

    def _make_metrics(
        self, door: str, status: int, target: Target | None
    ) -> tuple[Callable[[float], None], Callable[[float], None]]:
        model, backend, lineage = "", "", ""
        if target is not None:
            model, backend, lineage = target.model.name, target.backend, target.lineage
        labels = (door, str(status), model, backend, lineage)
        telemetry = self._telemetry
        count = telemetry.adder(telemetry.requests, *labels)
        measure = telemetry.observer(telemetry.request_seconds, door, backend)
        if len(self._metrics) >= _MAX_CACHED_METRICS:
            self._metrics.clear()
        self._metrics[door, status, target] = count, measure
        return count, measure

    def _problem(
        self, visit: Visit, error: Exception, routes: web.UrlDispatcher | None
    ) -> GatewayError:
        """The gateway's own error for anything a door or aiohttp raised."""
        if isinstance(error, GatewayError):
            return error
        if isinstance(error, web.HTTPRequestEntityTooLarge):
            return BodyTooLarge(self._settings.max_body_bytes)
        if isinstance(error, web.HTTPMethodNotAllowed):
            return MethodNotAllowed(error.method, sorted(error.allowed_methods))
        if isinstance(error, web.HTTPNotFound) and routes is not None:
            doors = {resource.canonical for resource in routes.resources()} - DOORS
            return NotFound("path", visit.request.path, sorted(doors))
        if isinstance(error, web.HTTPException) and error.status < 500:
            return InvalidRequest(shorten(error.reason))
        if isinstance(error, web.RequestPayloadError) or _has_left(visit.request, error):
            return InvalidRequest("body: it broke off before its announced end", field="body")
        return GatewayError("something went wrong inside the gateway; its log has the details")

    def _fields(self, visit: Visit, status: int, seconds: float | None = None) -> dict[str, object]:
        request, span, about = visit.request, visit.span, visit.about
        return request_fields(
            request_id=visit.identity,
            trace_id=trace_id(request.headers) if span is None else span.trace_id,
            method=request.method,
            path=request.path,
            status=status,
            client=request.remote,
            seconds=seconds,
            tried=visit.tried,
            **about,
        )


#: Where a request keeps its visit, and the application its envelope and its doors' other paths.
VISIT = web.RequestKey("visit", Visit)
ENVELOPE = web.AppKey("envelope", Envelope)
ALIASES = web.AppKey("aliases", Mapping[str, str])
