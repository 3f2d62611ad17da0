"""OpenTelemetry spans: one for each prediction, and one for each call to a remote backend.

Attributes follow the semantic conventions where they have a name for a thing
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/); the gateway's own begin with
``gateway.``. Samplers, limits and exporters are those of OpenTelemetry's environment
variables. This module needs the extra ``[otel]``; :func:`gateway.tracing.open_tracing` does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway import __version__
from gateway.errors import BackendError, ConfigError
from gateway.tracing import ENDPOINT_VARIABLES, EXPORTER_VARIABLE

#: The traces' context as the W3C has it, whatever OTEL_PROPAGATORS says: the backends get no other.
_W3C = TraceContextTextMapPropagator()
_PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: Names of the entry points of the exporters by OTLP's protocol.
_OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class Tracing:
    """Makes the gateway's spans with the tracers of one provider."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("gateway", __version__)

    def start(
        self, headers: Mapping[str, str], door: str, identity: str, scheme: str = "http"
    ) -> RequestSpan:
        """The span of a POST request to ``door``; continues the trace its headers name."""
        context = _W3C.extract(headers, Context())
        attributes = {
            "http.request.method": "POST",
            "http.route": door,
            "url.path": door,
            "url.scheme": scheme,
            "gateway.request_id": identity,
        }
        name = f"POST {door}"
        span = self._tracer.start_span(name, context, SpanKind.SERVER, attributes=attributes)
        return RequestSpan(span, context, identity)

    def call(
        self, backend: str, url: str | None, rows: int, asked: Sequence[Mapping[str, str]]
    ) -> CallSpan | None:
        """The span of one call that serves several requests, each with the headers of its call.

        It is a child of the first request that is recorded, and links to the others. None where no
        request belongs to a trace, as with the gateway's own checks.
        """
        requests = [request for headers in asked if (request := _request(headers)) is not None]
        if not requests:
            return None
        sampled = [request for request in requests if request[0].trace_flags.sampled]
        parent, headers = (sampled or requests)[0]
        attributes: dict[str, str | int] = {
            "gateway.backend": backend,
            "gateway.batch_rows": rows,
            "gateway.requests": len(asked),
        }
        address = urlsplit(url or "")
        if address.hostname is not None:
            attributes["server.address"] = address.hostname
        if address.port is not None:
            attributes["server.port"] = address.port
        context = _W3C.extract(headers, Context())
        span = self._tracer.start_span(
            f"predict {backend}",
            context,
            SpanKind.CLIENT,
            attributes=attributes,
            links=[Link(other) for other, _ in requests if other is not parent],
        )
        carrier = dict(headers)
        _W3C.inject(carrier, trace.set_span_in_context(span, context))
        return CallSpan(span, carrier)


class RequestSpan:
    """The SERVER span of one request; :meth:`finish` or :meth:`abandon` ends it."""

    __slots__ = ("_context", "_identity", "_span")

    def __init__(self, span: Span, context: Context, identity: str) -> None:
        self._span = span
        self._context = context
        self._identity = identity

    @property
    def trace_id(self) -> str:
        """The trace the request belongs to: 32 hexadecimal digits."""
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    def headers(self) -> dict[str, str]:
        """The headers a backend gets, in place of :func:`gateway.tracing.passed_on`."""
        carrier = {"X-Request-Id": self._identity}
        _W3C.inject(carrier, trace.set_span_in_context(self._span, self._context))
        return carrier

    def finish(self, status: int, **facts: str | int) -> None:
        """The request was answered; ``facts`` become attributes ``gateway.…``, if not empty."""
        span = self._span
        if span.is_recording():
            span.set_attributes({f"gateway.{name}": fact for name, fact in facts.items() if fact})
            span.set_attribute("http.response.status_code", status)
            if status >= 500:  # of a server's span, what the client did wrong is no error
                span.set_attribute("error.type", str(status))
                span.set_status(StatusCode.ERROR)
        span.end()

    def abandon(self) -> None:
        """The client has gone before it was answered."""
        self._span.set_attribute("error.type", "client_gone")
        self._span.end()


class CallSpan:
    """The CLIENT span of one call; ``headers`` are those the backend gets."""

    __slots__ = ("_span", "headers")

    def __init__(self, span: Span, headers: Mapping[str, str]) -> None:
        self._span = span
        self.headers = headers

    def finish(self, error: BackendError | None = None) -> None:
        """The call was answered, or failed."""
        if error is not None:
            self._span.set_attribute("error.type", error.slug)
            self._span.set_status(StatusCode.ERROR, error.detail)
        self._span.end()


def from_environment(environ: Mapping[str, str]) -> Tracing | None:
    """See :func:`gateway.tracing.open_tracing`.

    Raises :class:`ConfigError` or ImportError where what is named is not there.
    """
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):  # nobody has set one
        exporters = environ.get(EXPORTER_VARIABLE, "")
        if not exporters and any(environ.get(name) for name in ENDPOINT_VARIABLES):
            exporters = "otlp"
        names = [name.strip() for name in exporters.split(",")]
        names = [name for name in names if name not in ("", "none")]
        if not names:
            return None
        provider = _provider(names, environ)
        trace.set_tracer_provider(provider)
    return Tracing(provider)


def _provider(names: Sequence[str], environ: Mapping[str, str]) -> trace.TracerProvider:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about = Resource.create({"service.name": "gateway", "service.version": __version__})
    # What the environment says of the service comes before what the gateway does.
    provider = TracerProvider(resource=about.merge(OTELResourceDetector().detect()))
    for name in names:
        if name == "otlp":
            protocols = (environ.get(variable) for variable in _PROTOCOL_VARIABLES)
            protocol = next(filter(None, protocols), "http/protobuf")
            name = _OTLP.get(protocol, protocol)
        found = entry_points(group="opentelemetry_traces_exporter", name=name)
        if not found:
            there = entry_points(group="opentelemetry_traces_exporter").names
            known = ", ".join(sorted(there)) or "none"
            raise ConfigError(f"{EXPORTER_VARIABLE}: no exporter {name!r}; there is: {known}")
        exporter = next(iter(found)).load()
        provider.add_span_processor(BatchSpanProcessor(exporter()))
    return provider


def _request(headers: Mapping[str, str]) -> tuple[SpanContext, Mapping[str, str]] | None:
    """The span a call's headers name, with the headers.

    The gateway has written them itself, see :meth:`RequestSpan.headers`; OpenTelemetry's way of
    reading them is too slow for those of every request of a batch.
    """
    traceparent = headers.get("traceparent")
    if traceparent is None:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")[:4]
    context = SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(int(flags, 16)))
    return context, headers
