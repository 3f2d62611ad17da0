"""The findings on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.inspection.show import megabytes
from serving.experiments.tables import number, rows
from serving.optimize.findings import Form, Optimized
from serving.optimize.forms import ORIGINAL
from serving.spread import Spread

#: The longest range of times, like (32.1–39.7).
_RANGE_CHARS = 11


def show(found: Optimized, console: Console) -> None:
    """Print a table with a row per form, why a form is missing, and what parity is over."""
    first = found.forms[0]
    table = Table(
        title=Text(f"{found.graph}: median (lowest–highest round), × the original's"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0) if console.width >= 100 else 0,
    )
    table.add_column("form", no_wrap=True)
    for heading in ("nodes", "size", "load, ms"):
        table.add_column(heading, justify="right")
    for timing in first.calls:
        # Narrow terminals break a time before its range, not within.
        heading = f"call, {rows(timing.batch)}, µs"
        table.add_column(heading, justify="right", overflow="fold", min_width=_RANGE_CHARS)
    table.add_column("differs by", justify="right")
    table.add_column(f"within, of {found.rows}", justify="right")
    for form in found.forms:
        table.add_row(*_cells(form, found), style="red" if found.exceeds(form) else None)
    console.print(table)
    reasons = [f"{form.name}: {form.reason}" for form in found.forms if form.reason]
    parity = f"parity over {found.rows} rows, {found.rows_from}; allowed: {found.tolerance:g}"
    _print([*reasons, parity], console)


def show_remarks(findings: Sequence[Optimized], console: Console) -> None:
    """Print what there is to know beside the tables."""
    lines = [
        "each form is loaded as the gateway loads it, optimizations included; the original, too",
        "all: ONNX Runtime may have arranged it for this kind of processor only",
        "int8: how far it differs depends on the rows; try real ones with --data before serving it",
    ]
    conditions = findings[0].conditions.items()
    _print([*lines, *(f"{name}: {value}" for name, value in conditions)], console)


def _print(lines: Iterable[str], console: Console) -> None:
    for line in lines:
        console.print(f"- {line}", markup=False, highlight=False)


def _cells(form: Form, found: Optimized) -> list[str]:
    if form.load_ms is None or form.difference is None:
        return [form.name]
    times = [
        _spread(timing.call_us)
        + (f" {number(timing.ratio.median)} ×" if form.name != ORIGINAL else "")
        for timing in form.calls
    ]
    same = form.name == ORIGINAL
    return [
        form.name,
        str(form.nodes),
        megabytes(form.size),
        number(form.load_ms.median),
        *times,
        "" if same else f"{form.difference:.1e}" if form.difference else "0",
        "" if same else str(form.within),
    ]


def _spread(spread: Spread) -> str:
    return f"{number(spread.median)} ({number(spread.low)}–{number(spread.high)})"
