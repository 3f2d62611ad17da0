"""The report as Markdown: the same facts without the plots."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtests.compare.errors import CompareError
from loadtests.compare.report import cost, locust, method, parity, speed
from loadtests.compare.report.headline import headline
from loadtests.compare.report.names import stand_ins
from loadtests.compare.report.table import Table
from loadtests.compare.report.verdicts import Verdict, verdicts
from loadtests.compare.results import Results

#: What has a meaning in Markdown, and `<`, which begins HTML.
_SPECIAL = re.compile(r"([\\`*_<\[\]|#~&])")


def markdown(results: Results) -> str:
    """The document; what comes from outside is escaped."""
    return "\n\n".join(block for block in _blocks(results) if block) + "\n"


def write_markdown(results: Results, path: Path) -> None:
    """Write the document.

    Raises:
        CompareError: It cannot be written there.
    """
    try:
        path.write_text(markdown(results), encoding="utf-8")
    except OSError as error:
        raise CompareError(f"{path}: cannot be written: {error.strerror}") from None


def _blocks(results: Results) -> Iterator[str]:
    yield f"# Backends compared: {_text(results.model)}, version {_text(results.version)}"
    for verdict in verdicts(results):
        yield _verdict(verdict)
    yield _table(headline(results))
    yield _list(method.stand_ins(results))
    tables = [parity.pairs(results), parity.distances(results)]
    yield from _section("Agreement", tables)
    for one in results.parity:
        for found in (parity.suspects(one), parity.worst(one, stand_ins(results.subjects))):
            if found is not None:
                yield f"### {_text(one.candidate)} against {_text(one.reference)}"
                yield _table(found)
    shapes = [speed.points(results, shape) for shape in ("closed", "open", "batch")]
    yield from _section("Speed", [*shapes, *speed.contrasts(results)])
    yield from _section("Cost", [cost.servers(results), cost.usage(results)])
    yield from _section("Locust", [locust.runs(results)])
    yield "## How it was measured"
    yield "\n".join(f"- {_text(name)}: {_text(text)}" for name, text in method.facts(results))
    yield _list(results.notes)
    yield _list(method.explanations(results))


def _section(name: str, tables: Sequence[Table]) -> Iterator[str]:
    shown = [table for table in tables if not table.empty]
    if shown:
        yield f"## {name}"
        yield from map(_table, shown)


def _verdict(one: Verdict) -> str:
    lines = [f"**{_text(one.head)}** (lineage {_text(one.lineage)}: {_text(one.between)})."]
    if one.parity is not None:
        lines.append(f"{one.parity.verdict.capitalize()}: {_text(one.parity.evidence)}")
    said = ["".join(piece.text for piece in sentence.pieces) for sentence in one.sentences]
    return "\n\n".join(filter(None, [" ".join(lines), _list(said), _text(one.silence)]))


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_text(line)}" for line in lines)


def _table(table: Table) -> str:
    if table.empty:
        return ""
    grouped = any(group.name for group in table.groups)
    head = [column.head for column in table.columns]
    aligned = ["---:" if column.numeric else "---" for column in table.columns]
    lines = [[*([""] if grouped else []), *map(_text, head)]]
    lines.append([*(["---"] if grouped else []), *aligned])
    for group in table.groups:
        for i, row in enumerate(group.rows):
            name = [_text(group.name) if i == 0 else ""] if grouped else []
            lines.append([*name, *(_text(cell.plain()) for cell in row)])
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{_text(table.caption)}**\n\n{rows}"


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
