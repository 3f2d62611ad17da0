from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from loadtests.bench.compare import P50, added, best, compare
from loadtests.bench.report import Absence, Report, Target
from loadtests.bench.show import markdown, number, print_report
from tests.loadtests.bench.conftest import entry


@pytest.mark.parametrize(
    ("relation", "figure", "met"),
    [("≥", 5.0, True), ("≥", 4.99, False), ("≤", 5.0, True), ("≤", 5.01, False)],
)
def test_target(relation: str, figure: float, met: bool) -> None:
    target = msgspec.convert({"relation": relation, "value": 5}, Target)
    assert target.met(figure) is met


def test_compare_takes_the_median_of_the_rounds() -> None:
    finding = compare(
        "what", "s", entry("us", [10, 60, 30]), entry("them", [5, 10, 10]), Target("≥", 3)
    )
    assert finding.figure is not None
    assert (finding.figure.low, finding.figure.median, finding.figure.high) == (2, 3, 6)
    assert finding.met is True
    assert finding.opponent == "them"


def test_errors_of_our_own_meet_nothing() -> None:
    ours = entry("us", [100, 100], errors=1)
    finding = compare("what", "s", ours, entry("them", [1, 1]), Target("≥", 3))
    assert finding.errors == 2
    assert finding.met is False


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    finding = compare("what", "s", entry("us", [1]), None, Target("≥", 3), remark="without X")
    assert finding.figure is None
    assert finding.met is None
    assert finding.remark == "without X; not measured"


def test_added_is_a_difference() -> None:
    finding = added("what", "s", entry("us", [1]), entry("them", [1]), Target("≤", 0.5, "ms"))
    assert finding.figure is not None
    assert finding.figure.median == 0
    assert finding.unit == "ms p50"


def test_best() -> None:
    slow, fast = entry("slow", [10, 10, 90]), entry("fast", [20, 20, 20])
    assert best([slow, fast]) is fast
    assert best([]) is None


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (99.94, "99.9"), (1.234, "1.23"), (-250.0, "-250")]
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.fixture
def report() -> Report:
    ours, theirs = entry("us | ours", [10, 20]), entry("them [stand-in]", [5, 5])
    theirs.stand_in = True
    theirs.disturbed_percent = 40
    return Report(
        machine={"processor": "one"},
        settings={"method": "2 rounds"},
        findings=[
            compare("speed", "s", ours, theirs, Target("≥", 5)),
            compare("latency", "s", ours, None, Target("≤", 5), P50),
        ],
        entries=[ours, theirs],
        absences=[Absence("s", "other", "it did not start\nlog line")],
    )


def test_markdown(report: Report) -> None:
    lines = markdown(report).splitlines()
    speed = ["speed", "15.0 requests/s", "5.00 (them [stand-in])", "3.00 (2.00–4.00) ×", "≥ 5 ×"]
    assert lines[2] == f"| {' | '.join(speed)} | no |"
    assert lines[3] == "| latency — not measured | 1.00 ms p50 | — | — | ≤ 5 × | — |"
    assert any(line.startswith("| s | us \\| ours | 64 connections | 15.0") for line in lines)
    assert "- s: other was not measured: it did not start" in lines
    assert any("other programs took up to 40 %" in line for line in lines)
    assert any(line.startswith("- [stand-in]: not TensorFlow Serving") for line in lines)


def test_terminal_shows_the_same(report: Report) -> None:
    console = Console(file=io.StringIO(), width=200)
    print_report(report, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "them [stand-in]" in printed
    assert "3.00 (2.00–4.00) ×" in printed


def test_json_says_what_is_met(report: Report) -> None:
    decoded = msgspec.json.decode(msgspec.json.encode(report))
    assert [finding["met"] for finding in decoded["findings"]] == [False, None]
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
