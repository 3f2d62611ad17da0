"""``POST /v1/predict``: one descriptive payload in, predictions out."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from aiohttp import web

from gateway.api.middleware import REQUEST_ID, TARGET
from gateway.api.state import STATE, json_response, query_parameters
from gateway.backends.base import Call, Target
from gateway.errors import UnsupportedMediaType
from gateway.models.rows import Outputs, Rows
from gateway.telemetry import passed_on

PARAMETERS = ("backend", "model", "version", "lineage")
CONTENT_TYPE = "application/json"


async def predict(request: web.Request) -> web.Response:
    """Validate the body against the model's manifest and have the chosen backend answer.

    Answers 200 with ``model``, ``version``, ``backend``, ``lineage``, ``predictions`` (one object
    of outputs per row), ``warnings`` and ``request_id``; ``Server-Timing`` says in milliseconds
    what took how long. Errors are problem JSON, see :mod:`gateway.errors`.
    """
    state = request.app[STATE]
    router = state.router
    target = request[TARGET] = router.resolve(**query_parameters(request, PARAMETERS))
    check_content_type(request)
    body = await request.read()
    started = time.perf_counter()
    rows = target.model.validator.decode(body)
    validated = time.perf_counter()
    identity = request[REQUEST_ID]
    call = Call.within(router.settings.request_timeout_s, passed_on(request.headers, identity))
    answer = await router.predict(target, rows, call)
    state.telemetry.backend_seconds.labels(target.backend, target.lineage).observe(answer.backend_s)
    state.telemetry.rows.labels(target.model.name, target.backend, target.lineage).inc(rows.count)
    response = json_response(prediction(target, rows, answer.outputs) | {"request_id": identity})
    response.headers["Server-Timing"] = (
        f"validation;dur={(validated - started) * 1e3:.3f}, "
        f"backend;dur={answer.backend_s * 1e3:.3f}, rows;desc={rows.count}"
    )
    return response


def check_content_type(request: web.Request) -> None:
    """Raise :class:`UnsupportedMediaType` unless the body is JSON or does not say what it is."""
    sent = request.headers.get("Content-Type")
    if sent is None or request.content_type == CONTENT_TYPE:
        return
    if not request.content_type.endswith("+json"):
        raise UnsupportedMediaType(sent, [CONTENT_TYPE])


def prediction(target: Target, rows: Rows, outputs: Outputs) -> dict[str, Any]:
    """The answer's members that do not depend on HTTP; the command line prints the same.

    A value that is not finite is null in ``predictions`` and named in ``warnings``.
    """
    warnings = list(rows.warnings)
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            warnings.append(f"{name}: some values are not finite numbers; they are given as null")
    names = list(outputs)
    columns = [array.tolist() for array in outputs.values()]
    return {
        "model": target.model.name,
        "version": target.model.version,
        "backend": target.backend,
        "lineage": target.lineage,
        "predictions": [
            dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)
        ],
        "warnings": warnings,
    }
