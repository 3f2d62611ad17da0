"""OpenTelemetry spans of requests and of calls, as an exporter gets them."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from gateway.errors import BackendTimeout
from gateway.spans import Tracing
from tests.gateway.test_tracing import PARENT, TRACE, TRACEPARENT

DOOR = "/v1/predict"
UNSAMPLED = TRACEPARENT[:-1] + "0"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


def named(span: ReadableSpan) -> tuple[str, str]:
    """Trace id and span id as headers spell them."""
    context = span.get_span_context()
    assert context is not None
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def test_a_prediction_is_a_span_of_the_client_s_trace(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    span = tracing.start({"traceparent": TRACEPARENT, "tracestate": "a=1"}, DOOR, "i-1")
    headers = span.headers()
    assert span.trace_id == TRACE
    span.finish(
        200, model="m", version="2", backend="onnx", lineage="pytorch", rows=3, batch_rows=9
    )
    (done,) = exporter.get_finished_spans()
    assert (done.name, done.kind) == ("POST /v1/predict", SpanKind.SERVER)
    assert done.parent is not None
    assert format_span_id(done.parent.span_id) == PARENT
    assert named(done)[0] == TRACE
    assert dict(done.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/predict",
        "http.response.status_code": 200,
        "url.path": "/v1/predict",
        "url.scheme": "http",
        "gateway.request_id": "i-1",
        "gateway.model": "m",
        "gateway.version": "2",
        "gateway.backend": "onnx",
        "gateway.lineage": "pytorch",
        "gateway.rows": 3,
        "gateway.batch_rows": 9,
    }
    assert headers == {
        "X-Request-Id": "i-1",
        "traceparent": "00-{}-{}-01".format(*named(done)),
        "tracestate": "a=1",
    }


@pytest.mark.parametrize(
    ("status", "expected", "kind"),
    [(200, StatusCode.UNSET, None), (422, StatusCode.UNSET, None), (503, StatusCode.ERROR, "503")],
)
def test_only_what_the_gateway_did_wrong_is_an_error(
    tracing: Tracing,
    exporter: InMemorySpanExporter,
    status: int,
    expected: StatusCode,
    kind: str | None,
) -> None:
    tracing.start({}, DOOR, "i").finish(status)
    (done,) = exporter.get_finished_spans()
    assert done.parent is None
    assert done.status.status_code is expected
    assert (done.attributes or {}).get("error.type") == kind


def test_a_client_that_has_gone_leaves_a_span(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    tracing.start({}, DOOR, "i").abandon()
    (done,) = exporter.get_finished_spans()
    assert (done.attributes or {})["error.type"] == "client_gone"


def test_a_call_is_a_child_of_one_request_and_linked_to_the_others(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    requests = [tracing.start({}, DOOR, f"i-{index}") for index in range(3)]
    asked = [request.headers() for request in requests]
    call = tracing.call("torchserve", "http://host:8080", 7, asked)
    assert call is not None
    call.finish()
    for request in requests:
        request.finish(200)
    client, *servers = exporter.get_finished_spans()
    assert client.kind is SpanKind.CLIENT
    assert client.parent is not None
    assert format_span_id(client.parent.span_id) == named(servers[0])[1]
    linked = [format_span_id(link.context.span_id) for link in client.links]
    assert linked == [named(server)[1] for server in servers[1:]]
    assert dict(client.attributes or {}) == {
        "gateway.backend": "torchserve",
        "gateway.batch_rows": 7,
        "gateway.requests": 3,
        "server.address": "host",
        "server.port": 8080,
    }
    assert call.headers["X-Request-Id"] == "i-0"
    assert call.headers["traceparent"].startswith("00-{}-{}-".format(*named(client)))


def test_a_call_follows_the_request_that_is_recorded(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    quiet = tracing.start({"traceparent": UNSAMPLED}, DOOR, "quiet")
    heard = tracing.start({"traceparent": TRACEPARENT}, DOOR, "heard")
    call = tracing.call("torchserve", None, 2, [quiet.headers(), heard.headers(), {}])
    assert call is not None
    call.finish(BackendTimeout("torchserve", "it is late"))
    (done,) = exporter.get_finished_spans()
    assert named(done)[0] == TRACE
    assert done.status.status_code is StatusCode.ERROR
    assert (done.attributes or {})["error.type"] == "backend-timeout"


def test_what_no_client_asked_for_makes_no_span(tracing: Tracing) -> None:
    assert tracing.call("torchserve", None, 1, [{}, {"X-Request-Id": "i"}]) is None
