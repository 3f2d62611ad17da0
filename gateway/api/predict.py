"""``POST /v1/predict``: one descriptive payload in, predictions out.

This door takes most of the traffic: the Python that runs per request here decides how many requests
a core can serve.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from gateway.api.connection import Arrival
from gateway.api.envelope import ID_HEADER, VISIT, Envelope, Visit
from gateway.api.state import query_parameters
from gateway.backends.base import Call, Target
from gateway.errors import InvalidInput, InvalidRequest, UnsupportedMediaType, shorten
from gateway.models.rows import Rows
from gateway.routing.answer import Answer
from gateway.routing.queue import Ticket
from gateway.routing.router import Router
from gateway.routing.selection import Selection
from gateway.routing.shadowing import Shadowing
from gateway.tracing import passed_on

if TYPE_CHECKING:
    from gateway.spans import RequestSpan

PATH = "/v1/predict"
#: A client's own limit in milliseconds; the setting ``request_timeout_s`` bounds it.
TIMEOUT_HEADER = "X-Request-Timeout-Ms"
PARAMETERS = ("backend", "model", "version", "lineage")
CONTENT_TYPE = "application/json"
_MAX_KNOWN_QUERIES = 1_000


class Prediction(msgspec.Struct):
    """The answer's body; the command line prints the same."""

    model: str
    version: str
    backend: str
    lineage: str
    predictions: list[dict[str, Any]]
    warnings: list[str]
    request_id: str


class PredictDoor:
    """Answers ``POST /v1/predict``: from the application's route, or directly from a connection.

    Both ways give the same answers; :mod:`gateway.api.connection` says which requests go which.
    """

    def __init__(self, router: Router, envelope: Envelope) -> None:
        self._router = router
        self._envelope = envelope
        self._telemetry = router.telemetry
        self._tracing = router.telemetry.tracing
        #: Selections by path and query as they were sent: clients repeat themselves.
        self._known: dict[str, Selection] = {}
        router.on_change(self._known.clear)

    async def answer(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        """Validate the body against the model's manifest and have the chosen backend answer.

        Answers 200 with a :class:`Prediction`, one object of outputs per row; ``Server-Timing``
        says in milliseconds what took how long. Raises :class:`GatewayError`.
        """
        self._trace(visit)
        self._select(request)  # what is wrong with the query is said before the body is read
        check_content_type(request)
        body = await request.read()
        asked = self._validate(visit, self._select(request), body)
        answer = await self._router.predict(asked.targets, asked.rows, asked.call)
        headers, content = asked.content(answer)
        self._router.shadowing.offer(asked.rows, answer, visit.identity, len(body))
        return web.Response(body=content, headers=headers)

    def wants(self, raw_path: str) -> bool:
        """See :class:`gateway.api.connection.Door`; the first of a kind goes the other way."""
        return raw_path in self._known

    def take(self, arrival: Arrival) -> bool:
        """See :class:`gateway.api.connection.Door`."""
        if (
            arrival.headers.get("Content-Type", CONTENT_TYPE) != CONTENT_TYPE
            or len(arrival.body) > self._router.settings.max_body_bytes
        ):
            return False
        visit = Visit(arrival, PATH)
        self._trace(visit)
        try:
            asked = self._validate(visit, self._known[arrival.raw_path], arrival.body)
            asker = _Asker(arrival, asked, self._envelope, self._router.shadowing)
            ticket = self._router.enqueue(asked.targets, asked.rows, asked.call, asker)
            if not ticket.over:
                arrival.on_leave = ticket.leave
                if visit.span is not None:
                    arrival.on_leave = partial(_leave, ticket, visit.span)
        except Exception as error:
            refuse(arrival, visit, self._envelope, error)
        return True

    def _validate(self, visit: Visit, selection: Selection, body: bytes) -> _Asked:
        headers = visit.request.headers
        targets = selection.targets(headers, visit.identity)
        visit.targets = targets
        visit.target = targets[0]
        model = targets[0].model
        metrics = self._telemetry.for_model(model.name)
        started = time.perf_counter()
        try:
            rows = model.validator.decode(body)
        except InvalidInput as error:
            metrics.misfits(error.errors)
            raise
        validation_s = time.perf_counter() - started
        metrics.validated(validation_s)
        if rows.outside:
            metrics.outside(rows.outside)
        visit.rows = rows.count
        seconds = self._router.settings.request_timeout_s
        if TIMEOUT_HEADER in headers:
            seconds = min(seconds, timeout_s(headers[TIMEOUT_HEADER]))
        span = visit.span
        passed = passed_on(headers, visit.identity) if span is None else span.headers()
        call = Call.within(seconds, passed)
        return _Asked(visit, targets, rows, call, validation_s)

    def _trace(self, visit: Visit) -> None:
        if self._tracing is not None:
            visit.span = self._tracing.start(visit.request.headers, PATH, visit.identity)

    def _select(self, request: web.BaseRequest) -> Selection:
        selection = self._known.get(request.raw_path)
        if selection is None:
            selection = self._router.select(**query_parameters(request, PARAMETERS))
            if len(self._known) >= _MAX_KNOWN_QUERIES:
                self._known.clear()
            self._known[request.raw_path] = selection
        return selection


class _Asked:
    """A valid request."""

    __slots__ = ("_validation_s", "call", "rows", "targets", "visit")

    def __init__(
        self,
        visit: Visit,
        targets: tuple[Target, ...],
        rows: Rows,
        call: Call,
        validation_s: float,
    ) -> None:
        self.visit = visit
        self.targets = targets
        self.rows = rows
        self.call = call
        self._validation_s = validation_s

    def content(self, answer: Answer) -> tuple[dict[str, str], bytes]:
        """The response's headers and body."""
        identity = self.visit.identity
        results = answer.results
        self.visit.target = results.target
        self.visit.batch_rows = results.rows
        headers = {
            "Content-Type": CONTENT_TYPE,
            ID_HEADER: identity,
            "Server-Timing": f"validation;dur={self._validation_s * 1e3:.3f}, "
            f"queue;dur={answer.queue_s * 1e3:.3f}, "
            f"backend;dur={results.backend_s * 1e3:.3f}, batch;desc={results.rows}",
        }
        return headers, msgspec.json.encode(prediction(self.rows, answer, identity))


class _Asker:
    """Hands a backend's answer to the client, see :class:`gateway.routing.queue.Asker`."""

    __slots__ = ("_arrival", "_asked", "_envelope", "_shadowing")

    def __init__(
        self, arrival: Arrival, asked: _Asked, envelope: Envelope, shadowing: Shadowing
    ) -> None:
        self._arrival = arrival
        self._asked = asked
        self._envelope = envelope
        self._shadowing = shadowing

    def answered(self, answer: Answer) -> None:
        try:
            headers, content = self._asked.content(answer)
        except Exception as error:
            self.failed(error)
            return
        asked = self._asked
        self._arrival.respond(200, headers, content)
        # The client does not wait for what follows.
        self._envelope.observe(asked.visit, 200)
        size = len(self._arrival.body)
        self._shadowing.offer(asked.rows, answer, asked.visit.identity, size)

    def failed(self, error: Exception) -> None:
        refuse(self._arrival, self._asked.visit, self._envelope, error)


def refuse(arrival: Arrival, visit: Visit, envelope: Envelope, error: Exception) -> None:
    """Answer a request the connection was asked to leave to the door with a problem document."""
    status, headers, content = envelope.problem(visit, error)
    arrival.respond(status, headers, content)
    envelope.observe(visit, status)


def _leave(ticket: Ticket, span: RequestSpan) -> None:
    ticket.leave()
    span.abandon()


#: Where the application keeps its door.
DOOR = web.AppKey("door", PredictDoor)


async def predict(request: web.Request) -> web.StreamResponse:
    """The door among the application's routes, inside the middleware."""
    return await request.app[DOOR].answer(request, request[VISIT])


def check_content_type(request: web.BaseRequest) -> None:
    """Raise :class:`UnsupportedMediaType` unless the body is JSON or does not say what it is."""
    sent = request.headers.get("Content-Type")
    kind = request.content_type
    if sent is not None and kind != CONTENT_TYPE and not kind.endswith("+json"):
        raise UnsupportedMediaType(sent, [CONTENT_TYPE])


def timeout_s(sent: str) -> float:
    """``X-Request-Timeout-Ms`` in seconds; raises :class:`InvalidRequest`."""
    try:
        milliseconds = float(sent)
    except ValueError:
        milliseconds = 0.0
    if not 1 <= milliseconds < math.inf:
        raise InvalidRequest(
            f"{TIMEOUT_HEADER}: is {shorten(sent)!r}; allowed: milliseconds, 1 at least",
            field=TIMEOUT_HEADER,
            allowed="milliseconds, 1 at least",
        )
    return milliseconds / 1000


def prediction(rows: Rows, answer: Answer, identity: str) -> Prediction:
    """The answer's body. A value that is not finite is null there and named in ``warnings``."""
    target = answer.results.target
    warnings = rows.warnings
    if answer.unfit:
        warnings = warnings + [
            f"{name}: some values are not finite numbers; they are given as null"
            for name in answer.unfit
        ]
    return Prediction(
        model=target.model.name,
        version=target.model.version,
        backend=target.backend,
        lineage=target.lineage,
        predictions=answer.objects,
        warnings=warnings,
        request_id=identity,
    )
