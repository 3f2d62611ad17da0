"""Prometheus metrics, trace context and the structured log."""

from __future__ import annotations

import itertools
import logging
import os
import re
import secrets
import sys
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
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

logger = logging.getLogger("gateway")
disable_created_metrics()  # type: ignore[no-untyped-call]  # a creation time beside every counter doubles the exposition

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Set in each of several workers, see :mod:`gateway.workers`: its metrics lie in files then.
WORKER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS_S = (
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30,
)  # fmt: skip
#: A request id that may be taken over: printable, without spaces, of bounded length.
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count(1)
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
        per_target = ["model", "backend", "lineage"]
        self.backend_seconds = Histogram(
            "gateway_backend_seconds",
            "Seconds a backend took to answer one call.",
            per_target,
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.queue_seconds = Histogram(
            "gateway_queue_seconds",
            "Seconds the oldest request of a call had waited for the backend to be free.",
            per_target,
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.batch_rows = Histogram(
            "gateway_batch_rows",
            "Rows that went to a backend in one call.",
            per_target,
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096),
            registry=self.registry,
        )
        self.retries = Counter("gateway_retries", "x", per_target, registry=self.registry)
        self.fallbacks = Counter(
            "gateway_fallbacks", "x", ["model", "from", "to"], registry=self.registry
        )
        self.shadow_rows = Counter(
            "gateway_shadow_rows", "x", ["model", "candidate", "outcome"], registry=self.registry
        )
        self.shadow_requests = Counter(
            "gateway_shadow_requests",
            "x",
            ["model", "candidate", "outcome"],
            registry=self.registry,
        )
        self.model_reloads = Counter(
            "gateway_model_reloads", "x", ["model", "outcome"], registry=self.registry
        )
        self.backend_ready = Gauge(
            "gateway_backend_ready",
            "1 while the target has answered its last check, else 0.",
            ["model", "version", "backend", "lineage"],
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format, added up over all workers."""
        if WORKER_VARIABLE not in os.environ:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)


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
