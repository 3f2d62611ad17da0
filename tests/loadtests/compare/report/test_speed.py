"""What is called better, and which servers a subject's cost is made of."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from loadtests.compare.report.headline import headline
from loadtests.compare.report.speed import contrasts, points, reading
from loadtests.compare.results import Contrast
from tests.loadtests.compare.report.documents import full


def _contrast(
    better: Literal["higher", "lower"], low: float | None, high: float | None
) -> Contrast:
    one = next(c for c in full().contrasts if c.ratio.stand_in is None)
    ratio = msgspec.structs.replace(one.ratio, low=low, high=high)
    return msgspec.structs.replace(one, better=better, ratio=ratio)


@pytest.mark.parametrize(
    ("better", "low", "high", "said"),
    [
        ("higher", 1.1, 1.3, "better"),
        ("higher", 0.7, 0.9, "worse"),
        ("lower", 1.1, 1.3, "worse"),
        ("lower", 0.7, 0.9, "better"),
        ("lower", 0.9, 1.1, ""),
        ("higher", 1.0, 1.1, ""),
        ("higher", None, None, ""),
        ("higher", float("nan"), float("nan"), ""),
    ],
)
def test_an_interval_that_holds_1_decides_nothing(
    better: Literal["higher", "lower"], low: float | None, high: float | None, said: str
) -> None:
    assert reading(_contrast(better, low, high)) == said


def test_a_stand_in_is_neither_better_nor_worse() -> None:
    tables = {table.caption: table for table in contrasts(full())}
    marks = {
        caption: {cell.mark for group in table.groups for row in group.rows for cell in row[1:]}
        for caption, table in tables.items()
    }
    assert marks["onnx/tensorflow against tfserving/tensorflow"] == {""}
    assert marks["onnx/pytorch against torchserve/pytorch"] == {"better", ""}


def test_the_memory_of_a_subject_is_that_of_all_its_servers() -> None:
    rows = {row[0].text: row[4] for row in headline(full()).groups[0].rows}
    assert [rows["torchserve/pytorch"].text, rows["torchserve/pytorch"].more[0].text] == [
        "845",
        "+ 99.8",
    ]
    assert (rows["torchserve/pytorch direct"].text, rows["torchserve/pytorch direct"].more) == (
        "845",
        [],
    )
    assert (rows["onnx/pytorch"].text, rows["onnx/pytorch"].more) == ("99.8", [])


def test_batches_are_shown_in_rows_per_second() -> None:
    document = full()
    table = points(document, "batch")
    first = next(p for p in document.points if p.shape == "batch" and p.rows == 8)
    assert first.requests_per_s.value is not None
    assert table.groups[0].name == "8 rows a body"
    assert table.groups[0].rows[0][1].text == f"{first.requests_per_s.value * 8:,.0f}"
