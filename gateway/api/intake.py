"""What the doors that predict have in common: from a request's body to rows and a deadline."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor

from gateway.api.envelope import Visit
from gateway.api.media import JSON, read_rows
from gateway.backends.base import Call, Target
from gateway.errors import BackendTimeout, InvalidInput, InvalidRequest, shorten
from gateway.models.cpus import available_cpus
from gateway.models.image import Slow
from gateway.models.rows import Rows
from gateway.models.validator import Validator
from gateway.routing.router import Router
from gateway.telemetry import ModelMetrics
from gateway.tracing import passed_on

#: A client's own limit in milliseconds; the setting ``request_timeout_s`` bounds it.
TIMEOUT_HEADER = "X-Request-Timeout-Ms"
CONTENT_TYPE = JSON
#: Bodies with pictures that are longer are read on a thread whatever is in them.
_QUICK_BYTES = 16 * 1024
#: Large pictures are decoded here: not where backends compute, which should not wait for them.
_decoders = ThreadPoolExecutor(available_cpus(), thread_name_prefix="decode")


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
        model = targets[0].model
        metrics = self._telemetry.for_model(model.name)
        call = self._call(visit)
        started = time.perf_counter()
        try:
            rows = model.validator.decode(body)
        except InvalidInput as error:
            metrics.misfits(error.errors)
            raise
        return self._accept(visit, targets, rows, call, started, metrics)

    async def _validate_any(self, visit: Visit, targets: tuple[Target, ...], body: bytes) -> Asked:
        """The same for a body that may be a form or a picture, and may take a while to decode."""
        if not targets[0].model.manifest.images:
            return self._validate(visit, targets, body)
        model = targets[0].model
        metrics = self._telemetry.for_model(model.name)
        sent = visit.request.headers.get("Content-Type", CONTENT_TYPE)
        call = self._call(visit)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(call.remaining):
                rows = await _read(model.validator, sent, body)
        except InvalidInput as error:
            metrics.misfits(error.errors)
            raise
        except TimeoutError as error:
            detail = "the deadline passed before the pictures were decoded"
            raise BackendTimeout(targets[0].backend, detail) from error
        return self._accept(visit, targets, rows, call, started, metrics)

    def _call(self, visit: Visit) -> Call:
        """The deadline and the headers for a backend; raises :class:`InvalidRequest`.

        To be made before the body is looked at, which takes of the time there is.
        """
        headers = visit.request.headers
        seconds = self._router.settings.request_timeout_s
        if TIMEOUT_HEADER in headers:
            seconds = min(seconds, timeout_s(headers[TIMEOUT_HEADER]))
        span = visit.span
        passed = passed_on(headers, visit.identity) if span is None else span.headers()
        return Call.within(seconds, passed)

    def _accept(
        self,
        visit: Visit,
        targets: tuple[Target, ...],
        rows: Rows,
        call: Call,
        started: float,
        metrics: ModelMetrics,
    ) -> Asked:
        """A request whose body was found to fit, after a look that began at ``started``."""
        validation_s = time.perf_counter() - started
        metrics.validated(validation_s)
        if rows.outside:
            metrics.outside(rows.outside)
        visit.rows = rows.count
        return Asked(visit, targets, rows, call, validation_s)


async def _read(validator: Validator, content_type: str, body: bytes) -> Rows:
    """Rows of a body with pictures: small ones at once, which costs no hop."""
    if len(body) <= _QUICK_BYTES:
        try:
            return read_rows(validator.quick, content_type, body)
        except Slow:
            pass
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_decoders, read_rows, validator, content_type, body)


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
