"""The findings as tables: on the terminal, and as Markdown."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from serving.experiments.findings import EngineCell, Engines, Levels, Provider, Providers
from serving.spread import Spread

_NOTHING = "—"
_SUFFIX = "ExecutionProvider"


def engine_tables(found: Engines) -> list[Table]:
    """The times of a call, and what comes before the first answer."""
    times = _table(
        "µs per call, numpy to numpy: median (lowest–highest round); × ONNX Runtime's time",
        ["inputs", "rows", *found.engines],
    )
    first = _table(
        "seconds before the first answer: load + first call, compilation included",
        ["inputs", "rows", *found.engines],
    )
    cells = {(cell.inputs, cell.batch, cell.engine): cell for cell in found.cells}
    loads = {(start.inputs, start.engine): start.load_s for start in found.starts}
    for inputs, batch in dict.fromkeys((cell.inputs, cell.batch) for cell in found.cells):
        row = [cells[inputs, batch, engine] for engine in found.engines]
        times.add_row(str(inputs), str(batch), *map(_time, row))
        first.add_row(
            str(inputs),
            str(batch),
            *(_first(cell, loads.get((inputs, cell.engine), 0.0)) for cell in row),
        )
    return [times, first]


def engine_remarks(found: Engines) -> list[str]:
    """What there is to know beside the tables of :func:`engine_tables`."""
    largest = max(cell.difference or 0.0 for cell in found.cells)
    lines = [
        "TensorFlow is the library, a SavedModel's signature called from Python; it is not "
        "TensorFlow Serving; it hands every call to a thread of its own",
        "PyTorch is compiled anew for each batch size, so that its shape is a constant",
        f"same weights everywhere: largest difference from float64 {largest:.1e}, "
        f"allowed {found.tolerance:g}",
    ]
    prepared = {name: taken for name, taken in found.prepared_s.items() if taken >= 0.1}
    lines += [
        f"{name}: {taken:.1f} s of preparation, once a machine" for name, taken in prepared.items()
    ]
    lines += sorted({f"{cell.engine}: {cell.reason}" for cell in found.cells if cell.reason})
    return lines + _conditions(found.conditions)


def level_tables(found: Levels) -> list[Table]:
    """A table per graph: a row per form."""
    tables = []
    for graph in found.graphs:
        batches = [timing.batch for timing in graph.levels[0].calls]
        table = _table(
            f"{graph.graph}: median (lowest–highest round); difference over {graph.rows} rows",
            [
                "form",
                "nodes",
                "kB",
                "session, ms",
                *(f"call, {rows(batch)}, µs" for batch in batches),
                "difference",
            ],
        )
        for level in graph.levels:
            outside = level.difference > graph.tolerance
            difference = f"{level.difference:.1e}" if level.difference else "0"
            table.add_row(
                level.name,
                str(level.nodes),
                f"{level.size / 1e3:.1f}",
                _spread(level.create_ms),
                *(_spread(timing.call_us) for timing in level.calls),
                f"{difference}, allowed {graph.tolerance:g}" if outside else difference,
                style="red" if outside else None,
            )
        tables += [
            table,
            _operators(graph.graph, {one.name: one.operators for one in graph.levels}),
        ]
    return tables


def level_remarks(found: Levels) -> list[str]:
    """What there is to know beside the tables of :func:`level_tables`."""
    return [
        "original: the file as exported, optimized each time it is loaded; the others were "
        "optimized into a file, which is loaded without optimizing again",
        "differences are from disable_all",
        "a file of level layout or all may be fit for this kind of processor only",
        *_conditions(found.conditions),
    ]


def provider_tables(found: Providers) -> list[Table]:
    """One table: a row per available provider."""
    batches = next((one.calls for one in found.providers if one.calls), [])
    table = _table(
        f"{found.graph}: execution providers in this build; µs per call, median (lowest–highest)",
        ["provider", "active", "who computed", *(rows(t.batch) for t in batches)],
    )
    for provider in found.providers:
        table.add_row(
            provider.name,
            "yes" if provider.active else f"no: {provider.reason}",
            _computed_by(provider) or _NOTHING,
            *([_spread(one.call_us) for one in provider.calls] or [_NOTHING] * len(batches)),
            style=None if provider.own else "dim",
        )
    return [table]


def provider_remarks(found: Providers) -> list[str]:
    """What there is to know beside the table of :func:`provider_tables`."""
    lines = []
    for provider in found.providers:
        others = {name: count for name, count in provider.nodes.items() if name != provider.name}
        for name, count in others.items():
            share = "all" if not provider.own else f"{count} of {sum(provider.nodes.values())}"
            lines.append(f"{provider.name}: ONNX Runtime gave {share} of the nodes to {name}")
    if found.absent:
        lines.append(f"not in this build: {', '.join(found.absent)}")
    return lines + _conditions(found.conditions)


def show(tables: Iterable[Table], remarks: Iterable[str], console: Console) -> None:
    """Print tables and remarks."""
    for table in tables:
        console.print(table)
    for line in remarks:
        console.print(f"- {line}", markup=False, highlight=False)


def markdown(tables: Iterable[Table], remarks: Iterable[str]) -> str:
    """Tables and remarks as Markdown."""
    out = io.StringIO()
    console = Console(file=out, width=10_000, no_color=True)
    for table in tables:
        title, form, padding = table.title, table.box, table.padding
        console.print(Text(f"**{title}**"))
        table.title, table.box, table.padding = None, box.MARKDOWN, (0, 1)
        console.print(table)
        table.title, table.box, table.padding = title, form, padding
    lines = "\n".join(f"- {line}" for line in remarks)
    text = "\n".join(line.strip() for line in out.getvalue().splitlines())
    return f"{text}\n{lines}\n"


def number(value: float) -> str:
    """About three significant digits, thousands separated."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _table(title: str, headings: Iterable[str]) -> Table:
    table = Table(
        title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for index, heading in enumerate(headings):
        # What does not fit goes to the next line: a figure is never cut short.
        justify: JustifyMethod = "right" if index else "left"
        table.add_column(heading, justify=justify, no_wrap=not index, overflow="fold")
    return table


def _operators(graph: str, counts: dict[str, dict[str, int]]) -> Table:
    table = _table(f"{graph}: nodes by type", ["operator", *counts])
    for operator in dict.fromkeys(name for count in counts.values() for name in count):
        table.add_row(operator, *(str(count.get(operator, 0)) for count in counts.values()))
    return table


def _time(cell: EngineCell) -> str:
    if cell.call_us is None or cell.ratio is None:
        return _NOTHING
    return f"{_spread(cell.call_us)} {number(cell.ratio.median)} ×"


def _first(cell: EngineCell, load_s: float) -> str:
    return _NOTHING if cell.first_s is None else f"{load_s:.3f} + {cell.first_s:.3f}"


def _computed_by(provider: Provider) -> str:
    """Who ran how many nodes of the provider's session: ``CPU: 12 nodes``."""
    short = {name.removesuffix(_SUFFIX): count for name, count in provider.nodes.items()}
    return ", ".join(f"{name}: {count} nodes" for name, count in short.items())


def _spread(spread: Spread) -> str:
    return f"{number(spread.median)} ({number(spread.low)}–{number(spread.high)})"


def rows(count: int) -> str:
    """``1 row``, ``64 rows``."""
    return "1 row" if count == 1 else f"{count} rows"


def _conditions(conditions: dict[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in conditions.items()]
