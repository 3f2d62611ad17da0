"""Points and contrasts for documents to be shown."""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec

from loadtests.compare.results import Contrast, Figure, Point, Round, Shape, Subject, figure_id

STAND_IN = "TensorFlow behind TensorFlow Serving's REST interface"

SUBJECTS = [
    Subject(name="onnx/pytorch", backend="onnx", lineage="pytorch"),
    Subject(
        name="torchserve/pytorch",
        backend="torchserve",
        lineage="pytorch",
        server="http://127.0.0.1:8080",
    ),
    Subject(
        name="torchserve/pytorch direct",
        backend="torchserve",
        lineage="pytorch",
        direct=True,
        server="http://127.0.0.1:8080",
    ),
    Subject(name="onnx/tensorflow", backend="onnx", lineage="tensorflow"),
    Subject(
        name="tfserving/tensorflow",
        backend="tfserving",
        lineage="tensorflow",
        server="http://127.0.0.1:8501",
        stand_in=STAND_IN,
    ),
]
#: By subject: requests per second at most, and ms of a lone request.
_SPEED = {
    "onnx/pytorch": (28293.0, 0.16),
    "torchserve/pytorch": (17003.0, 0.96),
    "torchserve/pytorch direct": (1768.0, 0.59),
    "onnx/tensorflow": (27810.0, 0.17),
    "tfserving/tensorflow": (8339.0, 0.93),
}
_SHARES = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0]


def figure(
    *parts: object, value: float | None, unit: str, spread: float = 0.0, **more: str | None
) -> Figure:
    """A figure with an interval of this spread to either side, as a share of the value."""
    reach = abs(value or 0.0) * spread
    bounds = {"low": value - reach, "high": value + reach} if value and spread else {}
    what = " ".join(map(str, parts))
    return msgspec.convert(
        {"id": figure_id(*parts), "what": what, "value": value, "unit": unit, **bounds, **more},
        Figure,
    )


def point(
    subject: Subject,
    shape: Shape,
    *,
    connections: int = 1,
    rate: float | None = None,
    rows: int = 1,
) -> Point:
    """A subject under a load, as a queue with its capacity would answer."""
    most, lone = _SPEED[subject.name]
    if shape == "closed":
        per_s = most * (1 - math.exp(-connections * 1000 / lone / most))
        middle = max(lone, connections * 1000 / most)
    elif shape == "open":
        per_s = min(rate or 0, most)
        middle = lone / max(0.03, 1 - per_s / most / 1.02)
    else:
        per_s = 1000 / (lone + rows * 0.0018)
        middle = 1000 / per_s
    curve = [
        (share, middle * math.exp(0.32 * _z(share) + 0.05 * _z(share) ** 2)) for share in _SHARES
    ]
    at = dict(curve)
    load = f"r{rate:g}" if rate else f"c{connections}"
    if shape == "batch":
        load = f"n{rows}"
    failing = 0.004 if subject.name == "torchserve/pytorch" and (rate or 0) >= 4000 else 0.0

    def made(measure: str, value: float, unit: str, spread: float) -> Figure:
        return figure(
            "speed",
            shape,
            load,
            subject.name,
            measure,
            value=value,
            unit=unit,
            spread=spread,
            stand_in=subject.stand_in,
        )

    return Point(
        subject=subject.name,
        shape=shape,
        connections=connections,
        rate=rate,
        rows=rows,
        rounds=[_round(int(per_s * 4), failing, at[0.5]) for _ in range(5)],
        requests_per_s=made("requests_per_s", per_s, "requests/s", 0.06),
        p50=made("p50", at[0.5], "ms", 0.05),
        p90=made("p90", at[0.9], "ms", 0.06),
        p99=made("p99", at[0.99], "ms", 0.11),
        p999=made("p999", at[0.999], "ms", 0.3),
        error_share=made("error_share", failing, "", 0.3),
        curve=curve,
        driver_limited=subject.name == "onnx/pytorch" and connections == 64,
    )


def contrasts_of(candidate: Subject, reference: Subject, points: list[Point]) -> list[Contrast]:
    by_subject: dict[str, list[Point]] = {}
    for one in points:
        by_subject.setdefault(one.subject, []).append(one)
    found = []
    for one in by_subject[candidate.name]:
        for other in by_subject[reference.name]:
            if (one.shape, one.connections, one.rate, one.rows) == (
                other.shape,
                other.connections,
                other.rate,
                other.rows,
            ):
                found += [_contrast(one, other, name, reference) for name in _measures(one)]
    return found


def _measures(one: Point) -> list[str]:
    return ["p50", "p99"] if one.shape == "open" else ["requests_per_s", "p50", "p99"]


def _contrast(one: Point, other: Point, measure: str, reference: Subject) -> Contrast:
    mine, theirs = getattr(one, measure), getattr(other, measure)
    names = (one.shape, one.connections, one.rate, one.rows, one.subject, other.subject, measure)

    def made(kind: str, value: float, unit: str) -> Figure:
        return figure(
            "contrast",
            *names,
            kind,
            value=value,
            unit=unit,
            spread=0.08,
            stand_in=reference.stand_in,
        )

    return Contrast(
        candidate=one.subject,
        reference=other.subject,
        shape=one.shape,
        connections=one.connections,
        rate=one.rate,
        rows=one.rows,
        measure=measure,
        better="higher" if measure == "requests_per_s" else "lower",
        ratio=made("ratio", mine.value / theirs.value, "×"),
        difference=made("difference", mine.value - theirs.value, mine.unit),
    )


def _z(share: float) -> float:
    return NormalDist().inv_cdf(min(max(share, 0.001), 0.99995))


def _round(answered: int, failing: float, middle: float) -> Round:
    failed = int(answered * failing)
    return Round(
        seconds=4.0,
        sent=answered + failed,
        answered=answered,
        errors={"503 overloaded": failed} if failed else {},
        requests_per_s=answered / 4,
        p50=middle,
        p90=None,
        p99=None,
        p999=None,
        longest=None,
        driver_busy=0.5,
    )
