"""``POST /v1/predict``: one descriptive payload in, predictions out.

This door takes most of the traffic: the Python that runs per request here decides how many requests
a core can serve.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from gateway.api.connection import Arrival
from gateway.api.envelope import ID_HEADER, VISIT, Envelope, Visit
from gateway.api.intake import CONTENT_TYPE, Asked, Intake, not_finite
from gateway.api.media import check_content_type, is_json
from gateway.api.state import query_parameters
from gateway.models.rows import Rows
from gateway.routing.answer import Answer
from gateway.routing.queue import Ticket
from gateway.routing.router import Router
from gateway.routing.selection import Selection
from gateway.routing.shadowing import Shadowing

if TYPE_CHECKING:
    from gateway.spans import RequestSpan

PATH = "/v1/predict"
PARAMETERS = ("backend", "model", "version", "lineage")
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


class PredictDoor(Intake):
    """Answers ``POST /v1/predict``: from the application's route, or directly from a connection.

    Both ways give the same answers; :mod:`gateway.api.connection` says which requests go which.
    """

    def __init__(self, router: Router, envelope: Envelope) -> None:
        super().__init__(router)
        self._envelope = envelope
        #: Selections by path and query as they were sent: clients repeat themselves.
        self._known: dict[str, Selection] = {}
        #: Those among them that connections may take: pictures are decoded elsewhere.
        self._direct: set[str] = set()
        router.on_change(self._known.clear)
        router.on_change(self._direct.clear)

    async def answer(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        """Validate the body against the model's manifest and have the chosen backend answer.

        Answers 200 with a :class:`Prediction`, one object of outputs per row; ``Server-Timing``
        says in milliseconds what took how long. Raises :class:`GatewayError`.
        """
        self._trace(visit)
        # What is wrong with the query is said before the body is read.
        check_content_type(request, self._select(request).fixed[0].model.manifest)
        body = await request.read()
        visit.targets = targets = self._select(request).targets(request.headers, visit.identity)
        visit.target = targets[0]
        check_content_type(request, targets[0].model.manifest)
        asked = await self._validate_any(visit, targets, body)
        answer = await self._router.predict(asked.targets, asked.rows, asked.call)
        headers, content = _content(asked, answer)
        self._router.shadowing.offer(asked.rows, answer, visit.identity, len(body))
        return web.Response(body=content, headers=headers)

    def wants(self, raw_path: str) -> bool:
        """See :class:`gateway.api.connection.Door`; the first of a kind goes the other way."""
        return raw_path in self._direct

    def take(self, arrival: Arrival) -> bool:
        """See :class:`gateway.api.connection.Door`."""
        sent = arrival.headers.get("Content-Type", CONTENT_TYPE)
        if sent != CONTENT_TYPE and not is_json(sent):
            return False
        if len(arrival.body) > self._router.settings.max_body_bytes:
            return False
        visit = Visit(arrival, PATH)
        self._trace(visit)
        try:
            selection = self._known[arrival.raw_path]
            visit.targets = targets = selection.targets(arrival.headers, visit.identity)
            visit.target = targets[0]
            asked = self._validate(visit, targets, arrival.body)
            asker = _Asker(arrival, asked, self._envelope, self._router.shadowing)
            ticket = self._router.enqueue(asked.targets, asked.rows, asked.call, asker)
            if not ticket.over:
                arrival.on_leave = ticket.leave
                if visit.span is not None:
                    arrival.on_leave = partial(_leave, ticket, visit.span)
        except Exception as error:
            refuse(arrival, visit, self._envelope, error)
        return True

    def _select(self, request: web.BaseRequest) -> Selection:
        selection = self._known.get(request.raw_path)
        if selection is None:
            selection = self._router.select(**query_parameters(request, PARAMETERS))
            if len(self._known) >= _MAX_KNOWN_QUERIES:
                self._known.clear()
                self._direct.clear()
            self._known[request.raw_path] = selection
            if not any(target.model.manifest.images for target in selection.everyone):
                self._direct.add(request.raw_path)
        return selection


def _content(asked: Asked, answer: Answer) -> tuple[dict[str, str], bytes]:
    """The response's headers and body."""
    visit = asked.visit
    identity = visit.identity
    results = answer.results
    visit.target = results.target
    visit.batch_rows = results.rows
    headers = {
        "Content-Type": CONTENT_TYPE,
        ID_HEADER: identity,
        "Server-Timing": f"validation;dur={asked.validation_s * 1e3:.3f}, "
        f"queue;dur={answer.queue_s * 1e3:.3f}, "
        f"backend;dur={results.backend_s * 1e3:.3f}, batch;desc={results.rows}",
    }
    return headers, msgspec.json.encode(prediction(asked.rows, answer, identity))


class _Asker:
    """Hands a backend's answer to the client, see :class:`gateway.routing.queue.Asker`."""

    __slots__ = ("_arrival", "_asked", "_envelope", "_shadowing")

    def __init__(
        self, arrival: Arrival, asked: Asked, envelope: Envelope, shadowing: Shadowing
    ) -> None:
        self._arrival = arrival
        self._asked = asked
        self._envelope = envelope
        self._shadowing = shadowing

    def answered(self, answer: Answer) -> None:
        try:
            headers, content = _content(self._asked, answer)
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


def prediction(rows: Rows, answer: Answer, identity: str) -> Prediction:
    """The answer's body. A value that is not finite is null there and named in ``warnings``."""
    target = answer.results.target
    warnings = rows.warnings
    if answer.unfit:
        warnings = warnings + [not_finite(name) for name in answer.unfit]
    return Prediction(
        model=target.model.name,
        version=target.model.version,
        backend=target.backend,
        lineage=target.lineage,
        predictions=answer.objects,
        warnings=warnings,
        request_id=identity,
    )
