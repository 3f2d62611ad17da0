"""The report as tables: on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadtests.bench.report import Absence, Entry, Finding, Report
from serving.spread import Spread

_FINDINGS = ("what", "ours", "theirs", "figure (lowest–highest)", "target", "met")
_ENTRIES = ("scenario", "contestant", "load", "requests/s", "p50 ms", "p99 ms", "errors")
_MET = {True: "yes", False: "no", None: "—"}
#: Share of the servers' core that other programs may take unmentioned.
_DISTURBED_PERCENT = 3.0


def print_report(report: Report, console: Console) -> None:
    """Two tables, and what there is to know beside them."""
    targets = Table(*_FINDINGS, title="Targets", title_justify="left")
    for finding in report.findings:
        style = {True: "green", False: "red", None: "dim"}[finding.met]
        targets.add_row(*map(escape, _finding(finding)), style=style)
    figures = Table(*_ENTRIES, title="All figures", title_justify="left")
    for entry in report.entries:
        figures.add_row(*map(escape, _entry(entry)))
    console.print(targets)
    console.print(figures)
    for line in _remarks(report):
        console.print(f"- {line}", markup=False, highlight=False)


def markdown(report: Report) -> str:
    """The same for the README."""
    parts = [
        _table(_FINDINGS, map(_finding, report.findings)),
        _table(_ENTRIES, map(_entry, report.entries)),
        "\n".join(f"- {line}" for line in _remarks(report)),
    ]
    return "\n\n".join(parts) + "\n"


def _finding(finding: Finding) -> list[str]:
    theirs = _median(finding.theirs)
    if finding.opponent:
        theirs += f" ({finding.opponent})"
    figure = "—"
    if finding.figure is not None:
        unit = "×" if finding.target is None else finding.target.unit
        figure = f"{_median(finding.figure, ends=True)} {unit}"
    return [
        " — ".join(filter(None, [finding.what, finding.remark])),
        f"{_median(finding.ours)} {finding.unit}" if finding.ours is not None else "—",
        theirs if finding.theirs is not None else "—",
        figure,
        "—" if finding.target is None else str(finding.target),
        _MET[finding.met] + (f", {finding.errors} errors" if finding.errors else ""),
    ]


def _entry(entry: Entry) -> list[str]:
    return [
        entry.scenario,
        entry.contestant,
        entry.workload,
        *(
            _median(Spread.of(values), ends=True)
            for values in (entry.requests_per_s, entry.p50_ms, entry.p99_ms)
        ),
        str(entry.errors),
    ]


def _remarks(report: Report) -> list[str]:
    """The machine, the settings, the notes of contestants, who was not measured."""
    lines = [f"{name}: {value}" for name, value in (report.machine | report.settings).items()]
    lines += sorted({f"{one.contestant}: {one.note}" for one in report.entries if one.note})
    lines += map(_absence, report.absences)
    lines += _disturbed(report.entries)
    if any(entry.stand_in for entry in report.entries):
        lines.append(
            "[stand-in]: not TensorFlow Serving, but TensorFlow behind its interface; its figures "
            "say nothing about the real server"
        )
    return lines


def _disturbed(entries: Sequence[Entry]) -> list[str]:
    """A line for each scenario that other programs have disturbed."""
    worst: dict[str, float] = {}
    for entry in entries:
        worst[entry.scenario] = max(worst.get(entry.scenario, 0), entry.disturbed_percent)
    return [
        f"{scenario}: other programs took up to {percent:.0f} % of the servers' core meanwhile"
        for scenario, percent in worst.items()
        if percent > _DISTURBED_PERCENT
    ]


def _absence(absence: Absence) -> str:
    reason = absence.reason.splitlines()[0] if absence.reason else "no reason given"
    return f"{absence.scenario}: {absence.contestant} was not measured: {reason}"


def _median(spread: Spread | None, ends: bool = False) -> str:
    if spread is None:
        return "—"
    text = number(spread.median)
    if ends and spread.low != spread.high:
        text += f" ({number(spread.low)}–{number(spread.high)})"
    return text


def number(value: float) -> str:
    """About three significant digits, thousands separated."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
