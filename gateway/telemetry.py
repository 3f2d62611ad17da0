"""The metrics as those who count need them, with their labels resolved; and the spans.

What happens for every request or call is a bound method here, of a tally that is written out when
somebody looks. What happens seldom looks its series up.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter as Occurrences
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from prometheus_client import Counter, Gauge, Histogram

from gateway.errors import FieldError
from gateway.metrics import WORKER_VARIABLE, Metrics
from gateway.tallies import Count, Distribution
from gateway.tracing import open_tracing

#: Why a backend was not asked, see ``gateway_refused_total``.
Refusal = Literal["overloaded", "deadline", "breaker"]
#: Model, backend, lineage.
Names = tuple[str, str, str]

_REFUSALS: tuple[Refusal, ...] = ("overloaded", "deadline", "breaker")
#: The value of ``gateway_breaker_state`` by the breaker's state.
_BREAKER_STATES = {"closed": 0, "half-open": 1, "open": 2}
#: Seconds between two looks at what is read off rather than counted.
_REFRESH_S = 1.0


class Readings(NamedTuple):
    """What is read off a target: the rows that wait, and its breaker's state."""

    queued_rows: Callable[[], int]
    breaker_state: Callable[[], str]


class Telemetry(Metrics):
    """The metrics of one gateway; ``tracing`` makes its spans, None where nobody wants any."""

    def __init__(self) -> None:
        super().__init__()
        self.tracing = open_tracing()
        self._models: dict[str, ModelMetrics] = {}
        self._readings: dict[Names, list[Readings]] = {}
        self._counts: dict[tuple[object, ...], Count] = {}
        self._distributions: dict[tuple[object, ...], Distribution] = {}

    def adder(self, counter: Counter, *labels: str) -> Callable[[float], None]:
        """What adds to the series of these labels, which :meth:`refresh` brings up to now."""
        key = (counter, *labels)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = Count(counter.labels(*labels))
        return count.add

    def observer(self, histogram: Histogram, *labels: str) -> Callable[[float], None]:
        """The same of a histogram."""
        key = (histogram, *labels)
        distribution = self._distributions.get(key)
        if distribution is None:
            distribution = Distribution(histogram.labels(*labels))
            self._distributions[key] = distribution
        return distribution.observe

    def for_target(self, model: str, version: str, backend: str, lineage: str) -> TargetMetrics:
        """The series of one target; the versions of a model share all but its readiness."""
        return TargetMetrics(self, (model, backend, lineage), version)

    def for_model(self, model: str) -> ModelMetrics:
        """The series of one model."""
        metrics = self._models.get(model)
        if metrics is None:
            metrics = self._models[model] = ModelMetrics(self, model)
        return metrics

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format, added up over all workers."""
        self.refresh()
        return super().exposition()

    def refresh(self) -> None:
        """Bring what is tallied, and the gauges that are read off, up to now."""
        self.flush()
        for names, readings in self._readings.items():
            self.queue_rows.labels(*names).set(sum(each.queued_rows() for each in readings))
            worst = max(_BREAKER_STATES[each.breaker_state()] for each in readings)
            self.breaker_state.labels(*names).set(worst)

    def flush(self) -> None:
        """Write out what is tallied."""
        for count in self._counts.values():
            count.flush()
        for distribution in self._distributions.values():
            distribution.flush()

    async def keep_fresh(self) -> None:
        """As one of several workers, refresh every second until cancelled; else return at once.

        The worker that is asked for metrics finds those of the others in their files.
        """
        while WORKER_VARIABLE in os.environ:
            self.refresh()
            await asyncio.sleep(_REFRESH_S)

    def watch(self, names: Names, readings: Readings) -> None:
        """Read the target's gauges off ``readings``; of several versions the sum and the worst."""
        self._readings.setdefault(names, []).append(readings)

    def unwatch(self, names: Names, readings: Readings) -> None:
        """No longer."""
        self._readings[names].remove(readings)
        if not self._readings[names]:
            del self._readings[names]
            _forget(self.queue_rows, names, 0)
            _forget(self.breaker_state, names, 0)


class TargetMetrics:
    """What is counted of one target."""

    __slots__ = (
        "_backend_seconds",
        "_batch_rows",
        "_names",
        "_queue_seconds",
        "_readings",
        "_refused",
        "_telemetry",
        "_version",
    )

    def __init__(self, telemetry: Telemetry, names: Names, version: str) -> None:
        self._telemetry = telemetry
        self._names = names
        self._version = version
        self._readings: Readings | None = None
        self._batch_rows = telemetry.observer(telemetry.batch_rows, *names)
        self._backend_seconds = telemetry.observer(telemetry.backend_seconds, *names)
        self._queue_seconds = telemetry.observer(telemetry.queue_seconds, *names)
        self._refused = {
            reason: telemetry.refused.labels(*names[:2], reason).inc for reason in _REFUSALS
        }

    def watch(self, queued_rows: Callable[[], int], breaker_state: Callable[[], str]) -> None:
        """Read the gauges off these, until :meth:`close`; to be called once."""
        self._readings = Readings(queued_rows, breaker_state)
        self._telemetry.watch(self._names, self._readings)

    def close(self) -> None:
        """The target is no longer served: it is neither ready nor not ready."""
        if self._readings is not None:
            self._telemetry.unwatch(self._names, self._readings)
            self._readings = None
            model, *target = self._names
            names = (model, self._version, *target)
            _forget(self._telemetry.backend_ready, names, float("nan"))

    def answered(self, rows: int, backend_s: float, waited_s: float) -> None:
        """A call of ``rows`` rows was answered; its oldest request had waited ``waited_s``."""
        self._batch_rows(rows)
        self._backend_seconds(backend_s)
        self._queue_seconds(waited_s)

    def failed(self, slug: str) -> None:
        """A call failed; ``slug`` is that of the error."""
        self._telemetry.backend_errors.labels(*self._names, slug).inc()

    def refused(self, reason: Refusal, requests: int = 1) -> None:
        """The backend was not asked."""
        self._refused[reason](requests)


class ModelMetrics:
    """What is counted of one model's payloads."""

    __slots__ = ("_model", "_outside", "_telemetry", "validated")

    def __init__(self, telemetry: Telemetry, model: str) -> None:
        self._telemetry = telemetry
        self._model = model
        #: A body was found to fit, within so many seconds.
        self.validated = telemetry.observer(telemetry.validation_seconds, model)
        self._outside: dict[str, Callable[[float], None]] = {}

    def outside(self, counts: Mapping[str, int]) -> None:
        """So many values by feature lie outside the training range; see ``Rows.outside``."""
        for feature, count in counts.items():
            add = self._outside.get(feature)
            if add is None:
                add = self._telemetry.adder(self._telemetry.out_of_range, self._model, feature)
                self._outside[feature] = add
            add(count)

    def misfits(self, errors: Iterable[FieldError]) -> None:
        """A body was refused; counts what may be drift rather than a client's mistake."""
        signs = {
            "range": self._telemetry.out_of_range,
            "category": self._telemetry.unknown_category,
        }
        for (kind, feature), count in Occurrences((e.kind, e.field) for e in errors).items():
            if kind in signs:
                signs[kind].labels(self._model, feature).inc(count)


def _forget(gauge: Gauge, names: tuple[str, ...], gone: float) -> None:
    """Show the series no longer; of several workers, whose files cannot forget, as ``gone``."""
    if WORKER_VARIABLE in os.environ:
        gauge.labels(*names).set(gone)
    else:
        gauge.remove(*names)
