"""What the report says of agreement: a table for each pair, its worst row, the suspects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from loadtests.compare.report.names import stand_ins
from loadtests.compare.report.numerals import NOTHING, number, percent
from loadtests.compare.report.table import (
    Cell,
    Column,
    Group,
    Table,
    named,
    shown,
    shown_share,
    ungrouped,
    with_unit,
    words,
)
from loadtests.compare.results import Distance, Parity, Results, Suspect

#: As much of a value as is shown, in characters: a tensor would fill pages.
_SHOWN = 80


def pairs(results: Results) -> Table:
    """A row for each pair of one lineage."""
    columns = [
        Column("candidate", numeric=False),
        Column("reference", numeric=False),
        Column("verdict", numeric=False),
        Column("rows"),
        Column("largest difference"),
        Column("mean difference"),
        Column("within tolerance"),
    ]
    labels = any(one.labels is not None for one in results.parity)
    if labels:
        columns.append(Column("labels alike"))
    stood_in = stand_ins(results.subjects)
    rows = []
    for one in results.parity:
        refused = f"{one.refused:,} refused by one only" if one.refused else ""
        row = [
            named(one.candidate, stood_in.get(one.candidate)),
            named(one.reference, stood_in.get(one.reference)),
            words(one.verdict),
            words(f"{sum(one.rows.values()):,}", remark=refused),
            with_unit(shown(one.largest), one.largest.unit),
            with_unit(shown(one.mean), one.mean.unit),
            shown_share(one.within),
        ]
        rows.append([*row, shown_share(one.labels)] if labels else row)
    return ungrouped("Do they answer alike", columns, rows)


def distances(results: Results) -> Table:
    """A row for each two lineages."""
    columns = [
        Column("one", numeric=False),
        Column("other", numeric=False),
        Column("rows"),
        Column("largest distance"),
        Column("mean distance"),
    ]
    stood_in = stand_ins(results.subjects)
    rows = [_distance(one, stood_in) for one in results.distances]
    return ungrouped("Distance between lineages", columns, rows)


def rows_asked(parity: Parity) -> str:
    """``3 examples, 60 edges, 2,000 generated``."""
    return ", ".join(f"{count:,} {kind}" for kind, count in parity.rows.items() if count)


def worst(parity: Parity, stood_in: Mapping[str, str | None]) -> Table | None:
    """The row on which they differ most, a feature a line, and what each answered.

    ``stood_in`` names the stand-ins by subject.
    """
    if parity.worst is None:
        return None
    payload = parity.worst.payload
    features = payload if isinstance(payload, dict) else {"payload": payload}
    columns = [Column("feature", numeric=False), Column("value", numeric=False)]
    difference = parity.worst.difference
    apart = "beyond all measure" if difference is None else number(difference)
    answers = [
        [named(f"{name} answers", stood_in.get(name)), words(_value(value))]
        for name, value in (
            (parity.reference, parity.worst.reference),
            (parity.candidate, parity.worst.candidate),
        )
    ]
    unit = parity.largest.unit if difference is not None else ""
    return Table(
        caption="The row on which they differ most",
        columns=columns,
        groups=[
            Group(
                "Payload",
                [[words(str(key)), words(_value(value))] for key, value in features.items()],
            ),
            Group(
                f"Answers, {parity.worst.output}",
                [*answers, [words("difference"), words(f"{apart} {unit}".strip())]],
            ),
        ],
    )


def suspects(parity: Parity) -> Table | None:
    """The features the difference depends on, those the evidence names first."""
    if not parity.suspects:
        return None
    columns = [
        Column("feature", numeric=False),
        Column("share of the difference"),
        Column("mismatch of the reactions"),
        Column("evidence", numeric=False),
    ]
    ordered = sorted(parity.suspects, key=lambda one: (not one.named, -one.share))
    return ungrouped("Which features it depends on", columns, [_suspect(one) for one in ordered])


def _value(value: Any) -> str:
    if isinstance(value, str):
        text = value
    else:
        try:
            text = msgspec.json.encode(value).decode()
        except TypeError:
            text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"


def _suspect(one: Suspect) -> list[Cell]:
    return [
        words(one.feature, mark="named" if one.named else ""),
        words(percent(one.share)),
        words(number(one.mismatch)),
        words(one.words or NOTHING),
    ]


def _distance(one: Distance, stood_in: Mapping[str, str | None]) -> list[Cell]:
    return [
        named(one.one, stood_in.get(one.one)),
        named(one.other, stood_in.get(one.other)),
        words(f"{one.rows:,}"),
        with_unit(shown(one.largest), one.largest.unit),
        with_unit(shown(one.mean), one.mean.unit),
    ]
