"""A document with odd things in it."""

from __future__ import annotations

import math

import msgspec

from loadtests.compare.results import (
    Advice,
    Figure,
    Histogram,
    Parity,
    Point,
    Results,
    Round,
    Server,
    Subject,
    Suspect,
    Worst,
    figure_id,
)
from tests.loadtests.compare.report.documents import nothing

HOSTILE = "<script>alert('x')</script>"


def odd() -> Results:
    """No value, no interval, numbers that are none, and markup where words are expected."""
    bad = Figure(
        id="bad.nan", what=HOSTILE, value=math.nan, unit="ms", low=-math.inf, high=math.nan
    )
    none = Figure(id="bad.none", what="x", value=None, unit="MB", remark=f"{HOSTILE} is not here")
    endless = Figure(id="bad.inf", what="x", value=math.inf, unit="lb", low=0.0, high=math.inf)

    def named(figure: Figure, *parts: object) -> Figure:
        return msgspec.structs.replace(figure, id=figure_id("bad", *parts))

    subject = Subject(name=f"onnx/{HOSTILE}", backend="onnx", lineage=HOSTILE, stand_in=HOSTILE)
    point_ = Point(
        subject=subject.name,
        shape="open",
        connections=64,
        rate=math.inf,
        rows=1,
        rounds=[
            Round(
                seconds=4.0,
                sent=1,
                answered=0,
                errors={HOSTILE: 1},
                requests_per_s=0.0,
                p50=None,
                p90=None,
                p99=None,
                p999=None,
                longest=None,
                driver_busy=0.0,
            )
        ],
        requests_per_s=named(none, "rate"),
        p50=named(bad, "p50"),
        p90=named(bad, "p90"),
        p99=named(endless, "p99"),
        p999=named(none, "p999"),
        error_share=named(bad, "errors"),
        curve=[(0.0, math.nan), (0.5, -1.0), (1.0, math.inf)],
        driver_limited=True,
    )
    parity = Parity(
        lineage=HOSTILE,
        reference=subject.name,
        candidate=subject.name,
        tolerance=0.0,
        rows={},
        refused=3,
        verdict="undecided",
        evidence=HOSTILE,
        largest=endless,
        mean=bad,
        within=named(none, "within"),
        labels=named(bad, "labels"),
        worst=Worst(
            payload={"text": HOSTILE, "image": [[0.0] * 500], HOSTILE: None},
            output="y",
            reference=math.nan,
            candidate=HOSTILE,
            difference=None,
        ),
        histogram=Histogram(edges=[0.0, math.nan, math.inf], counts=[0, 4], zeros=0),
        suspects=[
            Suspect(feature=HOSTILE, share=0.4, mismatch=math.nan, named=True, words=HOSTILE)
        ],
    )
    return msgspec.structs.replace(
        nothing(),
        subjects=[subject],
        parity=[parity],
        points=[
            point_,
            msgspec.structs.replace(
                point_,
                shape="closed",
                rate=None,
                connections=1,
                driver_limited=False,
                **{
                    name: named(none, "closed", name)
                    for name in ("requests_per_s", "p50", "p90", "p99", "p999", "error_share")
                },
            ),
        ],
        servers=[
            Server(
                name="gateway",
                processes=[],
                memory_idle=named(none, "server", "idle"),
                memory_loaded=named(none, "server", "loaded"),
                first_prediction=named(bad, "server", "first"),
                install=named(endless, "server", "install"),
                artifact=named(none, "server", "artifact"),
            )
        ],
        advice=[
            Advice(
                lineage=HOSTILE,
                candidate="a",
                reference="b",
                action="none",
                silent_because=[HOSTILE],
            )
        ],
        notes=[HOSTILE],
    )
