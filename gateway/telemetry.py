"""Prometheus metrics, trace context and the structured log."""

from __future__ import annotations

import logging
import re
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

logger = logging.getLogger("gateway")
disable_created_metrics()  # type: ignore[no-untyped-call]  # a creation time beside every counter doubles the exposition

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS_S = (
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30,
)  # fmt: skip
#: A request id that may be taken over: printable, without spaces, of bounded length.
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
#: https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


class Telemetry:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "gateway_requests",
            "HTTP requests by door, HTTP status, and the target that was asked for.",
            ["door", "status", "model", "backend", "lineage"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "gateway_request_seconds",
            "Seconds from a request's arrival to its answer.",
            ["door", "backend"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.backend_seconds = Histogram(
            "gateway_backend_seconds",
            "Seconds a backend took to answer one call.",
            ["backend", "lineage"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.rows = Counter(
            "gateway_rows",
            "Rows predicted.",
            ["model", "backend", "lineage"],
            registry=self.registry,
        )
        self.backend_ready = Gauge(
            "gateway_backend_ready",
            "1 while the target has answered its last check, else 0.",
            ["model", "version", "backend", "lineage"],
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def request_id(headers: Mapping[str, str]) -> str:
    """The client's ``X-Request-Id`` where it can be taken over, else a new one."""
    given = headers.get("X-Request-Id")
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def passed_on(headers: Mapping[str, str], identity: str) -> dict[str, str]:
    """The headers a backend gets: the request's id, and its W3C trace context if it has one."""
    result = {"X-Request-Id": identity}
    traceparent = headers.get("traceparent")
    if traceparent and _TRACEPARENT.fullmatch(traceparent):
        result["traceparent"] = traceparent
        if "tracestate" in headers:
            result["tracestate"] = headers["tracestate"]
    return result


class JSONFormatter(logging.Formatter):
    """One JSON object a line; ``extra={"fields": {…}}`` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def configure_logging(level: str) -> None:
    """Log the gateway's and aiohttp's messages as JSON lines to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
