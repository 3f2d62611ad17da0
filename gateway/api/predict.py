"""``POST /v1/predict``: one descriptive payload in, predictions out.

This door takes most of the traffic, so it stands before the application's own routing and answers
in as few steps as it can; see :meth:`PredictDoor.stand_before`. The Python that runs per request
here decides how many requests a core can serve.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web

from gateway.api.envelope import ID_HEADER, VISIT, Envelope, Visit
from gateway.api.quick import respond
from gateway.api.state import query_parameters
from gateway.backends.base import Call, Target
from gateway.errors import BodyTooLarge, UnsupportedMediaType
from gateway.models.rows import Rows
from gateway.routing.answer import Answer
from gateway.routing.router import Router
from gateway.telemetry import passed_on

PATH = "/v1/predict"
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
    """Answers ``POST /v1/predict``; see :meth:`stand_before` for how it gets its requests."""

    def __init__(self, router: Router, envelope: Envelope) -> None:
        self._router = router
        self._envelope = envelope
        #: Targets by path and query as they were sent: clients repeat themselves.
        self._known: dict[str, Target] = {}
        self._open = 0

    def stand_before(self, server: web.Server) -> None:
        """Take the server's predictions directly and leave its other requests to the application.

        It saves the application's routing and middleware, nothing else: the application has the
        same door in its own routes. It also counts the requests the server has read and not yet
        answered, and so knows when one is alone.
        """
        others, make_request = server.request_handler, server.request_factory

        def read(*parts: Any) -> web.BaseRequest:
            self._open += 1
            return make_request(*parts)

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            try:
                if request.method == "POST" and (
                    request.raw_path in self._known or request.path == PATH
                ):
                    return await self._visit(request)
                return await others(request)
            finally:
                self._open -= 1

        server.request_factory, server.request_handler = read, handle

    async def _visit(self, request: web.BaseRequest) -> web.StreamResponse:
        visit = Visit(request, PATH)
        try:
            response = await self.answer(visit)
        except Exception as error:
            response = self._envelope.failure(visit, error)
        self._envelope.observe(visit, response.status)
        return response

    async def answer(self, visit: Visit) -> web.StreamResponse:
        """Validate the body against the model's manifest and have the chosen backend answer.

        Answers 200 with a :class:`Prediction`, one object of outputs per row; ``Server-Timing``
        says in milliseconds what took how long. Raises :class:`GatewayError`.
        """
        request = visit.request
        visit.target = target = self._target(request)
        if request.headers.get("Content-Type", CONTENT_TYPE) != CONTENT_TYPE:
            check_content_type(request)
        body = await self._body(request)
        started = time.perf_counter()
        rows = target.model.validator.decode(body)
        validated = time.perf_counter()
        headers = passed_on(request.headers, visit.identity)
        call = Call.within(self._router.settings.request_timeout_s, headers)
        answer = await self._router.predict(target, rows, call, alone=self._open == 1)
        results = answer.results
        timing = (
            f"validation;dur={(validated - started) * 1e3:.3f}, "
            f"queue;dur={answer.queue_s * 1e3:.3f}, "
            f"backend;dur={results.backend_s * 1e3:.3f}, batch;desc={results.rows}"
        )
        content = msgspec.json.encode(prediction(target, rows, answer, visit.identity))
        extra = {ID_HEADER: visit.identity, "Server-Timing": timing}
        return respond(request, content, CONTENT_TYPE, extra)

    async def _body(self, request: web.BaseRequest) -> bytes:
        """The whole body; raises :class:`BodyTooLarge`."""
        if not request.content.is_eof():
            return await request.read()
        # It has arrived together with the head, as small ones do.
        body = request.content.read_nowait()
        limit = self._router.settings.max_body_bytes
        if len(body) > limit:
            raise BodyTooLarge(limit)
        return body

    def _target(self, request: web.BaseRequest) -> Target:
        target = self._known.get(request.raw_path)
        if target is None:
            target = self._router.resolve(**query_parameters(request, PARAMETERS))
            if len(self._known) >= _MAX_KNOWN_QUERIES:
                self._known.clear()
            self._known[request.raw_path] = target
        return target


#: Where the application keeps its door.
DOOR = web.AppKey("door", PredictDoor)


async def predict(request: web.Request) -> web.StreamResponse:
    """The door among the application's routes, inside the middleware."""
    return await request.app[DOOR].answer(request[VISIT])


def check_content_type(request: web.BaseRequest) -> None:
    """Raise :class:`UnsupportedMediaType` unless the body is JSON or does not say what it is."""
    kind = request.content_type
    if kind != CONTENT_TYPE and not kind.endswith("+json"):
        raise UnsupportedMediaType(request.headers["Content-Type"], [CONTENT_TYPE])


def prediction(target: Target, rows: Rows, answer: Answer, identity: str) -> Prediction:
    """The answer's body. A value that is not finite is null there and named in ``warnings``."""
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
