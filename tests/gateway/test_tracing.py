"""Request ids and trace context without OpenTelemetry, and when its spans are wanted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from gateway.tracing import passed_on, trace_id
from tests.conftest import ROOT

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def test_trace_context_is_passed_on_as_it_came() -> None:
    headers = {"traceparent": TRACEPARENT, "tracestate": "a=1", "Authorization": "Bearer x"}
    assert passed_on(headers, "i") == {
        "X-Request-Id": "i",
        "traceparent": TRACEPARENT,
        "tracestate": "a=1",
    }
    assert trace_id(headers) == TRACE


@pytest.mark.parametrize("traceparent", ["", "x", f"00-{TRACE}-01", TRACEPARENT.upper()])
def test_what_is_no_trace_context_is_not(traceparent: str) -> None:
    headers = {"traceparent": traceparent, "tracestate": "a=1"}
    assert passed_on(headers, "i") == {"X-Request-Id": "i"}
    assert trace_id(headers) is None


SCRIPT = """
import sys
from gateway.logs import configure_logging
from gateway.tracing import open_tracing
configure_logging("warning")
tracing = open_tracing()
print("off" if tracing is None else "on", file=sys.stderr)
if tracing is not None:
    assert open_tracing() is not None
    tracing.start({"traceparent": sys.argv[1]}, "/v1/predict", "i").finish(200)
"""
BLOCKED = "import sys; sys.modules['opentelemetry'] = None\n"


def run(script: str = SCRIPT, **environ: str) -> tuple[str, Any]:
    """What a process of this environment says of tracing, and the span it exports."""
    done = subprocess.run(
        [sys.executable, "-c", script, TRACEPARENT],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)} | environ,
    )
    return done.stderr, json.loads(done.stdout) if done.stdout else None


def test_spans_are_exported_where_the_environment_says_so() -> None:
    said, span = run(OTEL_TRACES_EXPORTER="console", OTEL_SERVICE_NAME="door")
    assert said == "on\n"
    assert span["name"] == "POST /v1/predict"
    assert span["context"]["trace_id"] == f"0x{TRACE}"
    assert span["resource"]["attributes"]["service.name"] == "door"
    assert span["resource"]["attributes"]["service.version"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_and_not_where_it_does_not(environ: dict[str, str]) -> None:
    assert run(**environ) == ("off\n", None)


class Collector(BaseHTTPRequestHandler):
    """Takes what an exporter of OTLP over HTTP sends."""

    taken: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_endpoint_is_enough() -> None:
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said, _ = run(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert said == "on\n"
    ((path, body),) = Collector.taken
    assert path == "/v1/traces"
    assert bytes.fromhex(TRACE) in body


def test_what_cannot_be_had_is_said_and_served_without() -> None:
    said, span = run(OTEL_TRACES_EXPORTER="smoke")
    assert "smoke" in said
    assert "console" in said
    assert said.endswith("off\n")
    assert span is None

    said, _ = run(BLOCKED + SCRIPT, OTEL_TRACES_EXPORTER="console")
    assert "[otel]" in said
    assert run(BLOCKED + SCRIPT) == ("off\n", None)
