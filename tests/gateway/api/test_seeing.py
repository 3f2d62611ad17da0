"""What a prediction leaves behind: spans, a line in the log, signs of drift."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_span_id

from gateway.backends import MemoryBackend
from gateway.backends.base import Call, Target
from gateway.errors import BackendUnavailable
from gateway.models.rows import Outputs, Rows
from gateway.spans import Tracing
from tests.conftest import MIXED, Client, MakeClient, write_model
from tests.gateway.test_telemetry import samples
from tests.gateway.test_tracing import PARENT, TRACE, TRACEPARENT

GOOD: dict[str, Any] = {"count": 2, "size": 0.5, "big": True, "name": "b"}
SPECIFIC = {**MIXED, "backends": {n: {"lineages": {"pytorch": {}}} for n in ("far", "spare")}}


class Far(MemoryBackend):
    """A server elsewhere, as far as anybody can tell; keeps the headers of its calls."""

    url = "http://far:8080"

    def __init__(self, name: str) -> None:
        super().__init__(
            lambda rows: {"total": rows.columns["count"], "named": rows.columns["name"]}, name
        )
        self.headers: list[Mapping[str, str]] = []

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        self.headers.append(call.headers)
        return await super().predict(target, rows, call)


class Stage:
    """A gateway with two servers behind it, and what it has exported."""

    def __init__(self, client: Client, far: Far, exporter: InMemorySpanExporter) -> None:
        self.client = client
        self.far = far
        self.exporter = exporter

    async def predict(self, *changes: dict[str, Any], query: str = "", **headers: str) -> int:
        body = {"instances": [GOOD | change for change in changes or [{}]]}
        async with self.client.post(f"/v1/predict{query}", json=body, headers=headers) as response:
            await response.read()
            return response.status

    def spans(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.kind is kind]


@pytest.fixture
async def stage(make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("gateway.telemetry.open_tracing", lambda: Tracing(provider))
    write_model(tmp_path / "mixed", SPECIFIC)
    policy = {"models": {"mixed": {"default": "far", "fallback": ["spare"]}}}
    (tmp_path / "routing.yaml").write_text(yaml.safe_dump(policy))
    far = Far("far")
    client = await make_client(
        tmp_path, {"far": far, "spare": Far("spare")}, access_log=True, required_backends=""
    )
    far.headers.clear()
    return Stage(client, far, exporter)


async def test_a_trace_goes_through_the_gateway(stage: Stage) -> None:
    for _ in range(2):  # the first goes through the application, the second past it
        assert await stage.predict({}, {}, traceparent=TRACEPARENT) == 200
    servers, calls = stage.spans(SpanKind.SERVER), stage.spans(SpanKind.CLIENT)
    assert len(servers) == len(calls) == 2
    for server, call, headers in zip(servers, calls, stage.far.headers, strict=True):
        assert server.parent is not None
        assert call.parent is not None
        assert format_span_id(server.parent.span_id) == PARENT
        assert call.parent.span_id == server.get_span_context().span_id  # type: ignore[union-attr]
        assert headers["traceparent"].split("-")[1:3] == [
            TRACE,
            format_span_id(call.get_span_context().span_id),  # type: ignore[union-attr]
        ]
        about = dict(server.attributes or {})
        assert about["http.response.status_code"] == 200
        assert (about["gateway.backend"], about["gateway.rows"]) == ("far", 2)


async def test_one_call_for_many_requests_is_linked_to_all(stage: Stage) -> None:
    stage.far.delay = 0.05
    assert set(await asyncio.gather(*(stage.predict() for _ in range(5)))) == {200}
    servers, calls = stage.spans(SpanKind.SERVER), stage.spans(SpanKind.CLIENT)
    assert len(servers) == 5
    assert len(calls) < 5
    known = {call.parent.span_id for call in calls if call.parent is not None}
    known |= {link.context.span_id for call in calls for link in call.links}
    assert known == {server.get_span_context().span_id for server in servers}  # type: ignore[union-attr]


async def test_a_refused_request_and_one_whose_client_has_gone_end_their_spans(
    stage: Stage,
) -> None:
    assert await stage.predict({"count": "x"}) == 422
    assert await stage.predict() == 200
    stage.far.delay = 0.3
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stage.predict(), 0.05)
    await asyncio.sleep(0.05)
    refused, _, gone = (dict(span.attributes or {}) for span in stage.spans(SpanKind.SERVER))
    assert refused["http.response.status_code"] == 422
    assert gone["error.type"] == "client_gone"


async def test_the_log_says_who_was_asked(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.far.fail = BackendUnavailable("far", "it is down")
    with caplog.at_level(logging.INFO, "gateway"):
        assert await stage.predict({}, {}, query="?backend=auto", traceparent=TRACEPARENT) == 200
    fields = next(r.fields for r in caplog.records if r.message == "request")  # type: ignore[attr-defined]
    assert fields["tried"] == ["far", "spare"]
    assert (fields["backend"], fields["version"], fields["rows"]) == ("spare", "1", 2)
    assert fields["trace_id"] == TRACE
    assert fields["duration_ms"] > 0


async def test_signs_of_drift_and_refusals_are_counted(stage: Stage) -> None:
    assert await stage.predict({"count": 11}, {"count": 12}, {"size": 9}) == 200
    assert await stage.predict({"name": "new"}) == 422
    stage.far.fail = BackendUnavailable("far", "it is down")
    statuses = [await stage.predict(query="?backend=far") for _ in range(8)]
    assert set(statuses) == {503}
    async with stage.client.get("/metrics") as response:
        found = samples(await response.read())
    assert found["gateway_out_of_range_total", "count", "mixed"] == 2
    assert found["gateway_out_of_range_total", "size", "mixed"] == 1
    assert found["gateway_unknown_category_total", "name", "mixed"] == 1
    assert found["gateway_validation_seconds_count", "mixed"] == 9
    names = ("far", "pytorch", "mixed")
    assert found["gateway_breaker_state", *names] == 2
    assert found["gateway_refused_total", "far", "mixed", "breaker"] > 0
    assert found["gateway_backend_errors_total", "far", "backend-unavailable", *names[1:]] >= 5
    assert found["gateway_retries_total", *names] > 0
