"""What the doors that predict have in common: from a request's body to rows and a deadline."""

from __future__ import annotations

import math
import time

from aiohttp import web

from gateway.api.envelope import Visit
from gateway.backends.base import Call, Target
from gateway.errors import InvalidInput, InvalidRequest, UnsupportedMediaType, shorten
from gateway.models.rows import Rows
from gateway.routing.router import Router
from gateway.tracing import passed_on

#: A client's own limit in milliseconds; the setting ``request_timeout_s`` bounds it.
TIMEOUT_HEADER = "X-Request-Timeout-Ms"
CONTENT_TYPE = "application/json"


class Asked:
    """A valid request; ``targets`` are those that may be asked, in order."""

    __slots__ = ("call", "rows", "targets", "validation_s", "visit")

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
        self.validation_s = validation_s


class Intake:
    """A door that takes payloads; what it does with them is its own."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._telemetry = router.telemetry
        self._tracing = router.telemetry.tracing

    def _trace(self, visit: Visit) -> None:
        if self._tracing is not None:
            visit.span = self._tracing.start(visit.request.headers, visit.door, visit.identity)

    def _validate(self, visit: Visit, targets: tuple[Target, ...], body: bytes) -> Asked:
        """Hold the body against the first target's manifest; raises :class:`InvalidRequest`."""
        headers = visit.request.headers
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
        return Asked(visit, targets, rows, call, validation_s)


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


def not_finite(output: str) -> str:
    """The warning for an output that holds NaN or an infinity, which JSON cannot say."""
    return f"{output}: some values are not finite numbers; they are given as null"
