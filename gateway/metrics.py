"""Every Prometheus metric, declared once; ``python -m gateway.metrics`` prints docs/metrics.md."""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

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

disable_created_metrics()  # type: ignore[no-untyped-call]  # a creation time beside every counter doubles the exposition

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Set in each of several workers, see :mod:`gateway.workers`: its metrics lie in files then.
WORKER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS_S = (
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30,
)  # fmt: skip
#: Validation is quick: most of it takes some ten microseconds.
_SHORT_BUCKETS_S = (
    0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1,
)  # fmt: skip
_BUCKETS_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)
_TARGET = ("model", "backend", "lineage")


class Declared(NamedTuple):
    """A metric as the documentation lists it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.declared: list[Declared] = []
        self.requests = self._counter(
            "gateway_requests",
            "HTTP requests by door, HTTP status, and the target that answered, or else the first "
            "one that was to; a comparison has none, only its model.",
            ("door", "status", *_TARGET),
        )
        self.request_seconds = self._histogram(
            "gateway_request_seconds",
            "Seconds from a request's arrival to its answer.",
            ("door", "backend"),
        )
        self.validation_seconds = self._histogram(
            "gateway_validation_seconds",
            "Seconds it took to decode and validate the body of a request that fits the model.",
            ("model",),
            _SHORT_BUCKETS_S,
        )
        self.queue_seconds = self._histogram(
            "gateway_queue_seconds",
            "Seconds the oldest request of a call had waited for the backend to be free.",
            _TARGET,
        )
        self.queue_rows = self._gauge(
            "gateway_queue_rows", "Rows that wait for the backend now.", _TARGET, "livesum"
        )
        self.backend_seconds = self._histogram(
            "gateway_backend_seconds", "Seconds a backend took to answer one call.", _TARGET
        )
        self.batch_rows = self._histogram(
            "gateway_batch_rows",
            "Rows that went to a backend in one call and were answered.",
            _TARGET,
            _BUCKETS_ROWS,
        )
        self.backend_ready = self._gauge(
            "gateway_backend_ready",
            "1 while the target has answered its last check, else 0.",
            ("model", "version", "backend", "lineage"),
            "livemostrecent",
        )
        self.backend_errors = self._counter(
            "gateway_backend_errors",
            "Calls to a backend that failed, also where a retry or another backend answered: "
            "backend-unavailable, backend-timeout, or backend-error where it answered an error.",
            (*_TARGET, "error"),
        )
        self.breaker_state = self._gauge(
            "gateway_breaker_state",
            "The target's breaker: 0 closed, 1 half-open, 2 open; of several workers the worst.",
            _TARGET,
            "livemax",
        )
        self.refused = self._counter(
            "gateway_refused",
            "Requests a backend was not asked: overloaded, too much waits for it; deadline, theirs "
            "passed before their turn came; breaker, it is open. A fallback may have answered.",
            ("model", "backend", "reason"),
        )
        self.retries = self._counter(
            "gateway_retries", "Requests sent to the same target a second time.", _TARGET
        )
        self.fallbacks = self._counter(
            "gateway_fallbacks",
            "Requests that went on to another backend because the one before failed.",
            ("model", "from_backend", "to_backend"),
        )
        self.shadow_requests = self._counter(
            "gateway_shadow_requests",
            "Copied requests by what became of them: compared, failed, where the candidate did not "
            "answer, or dropped_queue_full, dropped_too_large, dropped_candidate_failing.",
            ("model", "candidate", "outcome"),
        )
        self.shadow_rows = self._counter(
            "gateway_shadow_rows",
            "Compared rows: agreeing, within the manifest's tolerance, or differing.",
            ("model", "candidate", "outcome"),
        )
        self.out_of_range = self._counter(
            "gateway_out_of_range",
            "Values outside the range training has seen, answered with a warning or refused: "
            "an early sign of drift.",
            ("model", "feature"),
        )
        self.unknown_category = self._counter(
            "gateway_unknown_category",
            "Values that are none of the feature's categories, and were refused: an early sign of "
            "drift.",
            ("model", "feature"),
        )
        self.model_reloads = self._counter(
            "gateway_model_reloads",
            "New versions of a model that were found: loaded, or refused while the old one stays.",
            ("model", "outcome"),
        )
        self.draining = self._gauge(
            "gateway_draining",
            "1 once the gateway has been told to stop and finishes what it has taken, else 0.",
            (),
            "livemax",
        )
        self.workers = self._gauge(
            "gateway_workers", "Worker processes that serve now.", (), "livesum"
        )
        self.workers.set(1)

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format, added up over all workers."""
        if WORKER_VARIABLE not in os.environ:
            return generate_latest(self.registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)

    def _counter(self, name: str, meaning: str, labels: tuple[str, ...]) -> Counter:
        self.declared.append(Declared(f"{name}_total", "counter", labels, meaning))
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(
        self,
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        over_workers: Literal["livesum", "livemax", "livemostrecent"],
    ) -> Gauge:
        self.declared.append(Declared(name, "gauge", labels, meaning))
        return Gauge(name, meaning, labels, registry=self.registry, multiprocess_mode=over_workers)

    def _histogram(
        self,
        name: str,
        meaning: str,
        labels: tuple[str, ...],
        buckets: tuple[float, ...] = _BUCKETS_S,
    ) -> Histogram:
        self.declared.append(Declared(name, "histogram", labels, meaning))
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)


_PAGE_HEAD = """\
# Metrics

Generated by `python -m gateway.metrics`. `GET /metrics` gives them in Prometheus' text format; with
several workers, those of all of them, added up; what workers other than the one that answers have
counted in the last second may still be missing. A histogram `x` is there as `x_bucket`, `x_sum` and
`x_count`; so `gateway_batch_rows_sum` counts the rows predicted, in place of the former
`gateway_rows_total`. A series appears with the first thing it counts, except those of targets,
which are there from the start. With one worker there are also the usual `process_*` and
`python_info`.

Labels never hold what a client sent: models, features, backends, lineages and versions are those of
the repository, doors the routes' patterns.

| metric | type | labels | meaning |
|---|---|---|---|"""

_PAGE_TAIL = """
Often asked:

| question | PromQL |
|---|---|
| rows predicted per second | `sum(rate(gateway_batch_rows_sum[1m]))` |
| rows per call | `rate(gateway_batch_rows_sum[1m]) / rate(gateway_batch_rows_count[1m])` |
| share of failed requests | `sum(rate(gateway_requests_total{status=~"5.."}[5m])) / sum(rate(gateway_requests_total[5m]))` |
| 99 % of answers within | `histogram_quantile(0.99, sum by (le) (rate(gateway_request_seconds_bucket{door="/v1/predict"}[5m])))` |
| a breaker is open | `gateway_breaker_state == 2` |
| how a candidate agrees | `sum by (candidate) (rate(gateway_shadow_rows_total{outcome="agreeing"}[1h])) / sum by (candidate) (rate(gateway_shadow_rows_total[1h]))` |
| a feature drifts | `sum by (feature) (rate(gateway_out_of_range_total{model="m"}[1h])) / scalar(sum(rate(gateway_batch_rows_sum{model="m"}[1h])))` |
"""  # noqa: E501 - lines of a table


def page() -> str:
    """The reference of all metrics as Markdown."""
    rows = [
        f"| `{m.name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.meaning} |"
        for m in Metrics().declared
    ]
    return "\n".join([_PAGE_HEAD, *rows, _PAGE_TAIL])


if __name__ == "__main__":
    print(page(), end="")
