"""Request ids and W3C trace context; where OpenTelemetry is wanted, its spans.

Without OpenTelemetry the trace context of a request is passed on to the backend as it came. With it
the gateway takes part in the trace, see :mod:`gateway.spans`.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.errors import ConfigError
from gateway.logs import logger

if TYPE_CHECKING:
    from gateway.spans import Tracing

#: A request id that may be taken over: printable, without spaces, of bounded length.
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count(1)
#: https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
#: Any of them says that spans are wanted, and where they go:
#: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def request_id(headers: Mapping[str, str]) -> str:
    """The client's ``X-Request-Id`` where it can be taken over, else a new one."""
    given = headers.get("X-Request-Id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return new_request_id()


def new_request_id() -> str:
    """An id no other process gives: this one's random part and a running number."""
    return f"{_PROCESS}-{next(_NUMBERS):x}"


def passed_on(headers: Mapping[str, str], identity: str) -> dict[str, str]:
    """The headers a backend gets: the request's id, and its W3C trace context if it has one."""
    result = {"X-Request-Id": identity}
    traceparent = headers.get("traceparent")
    if traceparent and _TRACEPARENT.fullmatch(traceparent):
        result["traceparent"] = traceparent
        if "tracestate" in headers:
            result["tracestate"] = headers["tracestate"]
    return result


def trace_id(headers: Mapping[str, str]) -> str | None:
    """The trace a request says that it belongs to: 32 hexadecimal digits."""
    found = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return None if found is None else found[1]


def open_tracing(environ: Mapping[str, str] = os.environ) -> Tracing | None:
    """What makes spans, or None where nobody wants any.

    They are wanted where the program around the gateway has set a tracer provider, or where
    OpenTelemetry's own environment variables name an exporter or an endpoint. Where they cannot be
    had, that is logged, and the gateway serves without.
    """
    wanted = any(environ.get(name) for name in (EXPORTER_VARIABLE, *ENDPOINT_VARIABLES))
    try:
        from gateway import spans

        return spans.from_environment(environ)
    except ImportError as error:
        if wanted:
            logger.warning("no spans: %s; pip install 'model-serving-gateway[otel]'", error)
    except ConfigError as error:
        logger.warning("no spans: %s", error.detail)
    return None
