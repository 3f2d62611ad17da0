"""The findings as plots, by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from serving.experiments.findings import Engines, LeveledGraph, Levels, Providers
from serving.experiments.tables import rows
from serving.spread import Spread

#: Okabe and Ito's palette: told apart by everybody, on paper too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
_GREYS = ("#bbbbbb", "#888888")
_MARKERS = "osD^vP*X"
_STYLE: Any = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": "#dddddd",
    # The same findings give the same file.
    "svg.hashsalt": "experiments",
}


def plot_engines(found: Engines, path: Path) -> None:
    """Time per row against the batch size, a panel per network; error bars: lowest to highest."""

    def draw(figure: Figure) -> None:
        sizes = list(dict.fromkeys(cell.inputs for cell in found.cells))
        panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
        for axes, inputs in zip(panels, sizes, strict=True):
            for index, engine in enumerate(found.engines):
                points = [
                    (cell.batch, cell.call_us)
                    for cell in found.cells
                    if (cell.inputs, cell.engine) == (inputs, engine) and cell.call_us is not None
                ]
                if points:
                    _line(axes, points, index, engine)
            axes.set(xscale="log", yscale="log", xlabel="rows a call", title=f"{inputs} inputs")
            axes.set_xticks(sorted({cell.batch for cell in found.cells}), minor=False)
            axes.xaxis.set_major_formatter("{x:.0f}")
            axes.minorticks_off()
        panels[0].set_ylabel("µs a row")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=2 * len(sizes), frameon=False
        )

    _write(path, (3.2 * len({cell.inputs for cell in found.cells}) + 0.8, 3.8), draw)


def plot_levels(found: Levels, path: Path) -> None:
    """For each graph its nodes by type, the time to make a session and the time of a call."""

    def draw(figure: Figure) -> None:
        lines = figure.subplots(len(found.graphs), 3, squeeze=False)
        for panels, graph in zip(lines, found.graphs, strict=True):
            names = [level.name for level in graph.levels]
            _stack(panels[0], graph)
            panels[0].set_title(f"{graph.graph}\nnodes by type", loc="left")
            panels[0].grid(visible=False, axis="x")
            created = [[level.create_ms for level in graph.levels]]
            _bars(panels[1], names, created, [""])
            panels[1].set_title("ms to make a session", loc="left")
            calls = list(zip(*(level.calls for level in graph.levels), strict=True))
            _bars(
                panels[2],
                names,
                [[timing.call_us for timing in batch] for batch in calls],
                [rows(batch[0].batch) for batch in calls],
            )
            panels[2].set_title("µs a call", loc="left")
            for axes in panels:
                axes.tick_params("x", rotation=40)

    _write(path, (12, 3.6 * len(found.graphs)), draw)


def plot_providers(found: Providers, path: Path) -> None:
    """The time of a call in the session of each provider; hatched where another one computed."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        active = [provider for provider in found.providers if provider.calls]
        names = [one.name if one.own else f"{one.name}\n(computed by another)" for one in active]
        calls = list(zip(*(one.calls for one in active), strict=True))
        spreads = [[timing.call_us for timing in batch] for batch in calls]
        drawn = _bars(axes, names, spreads, [rows(batch[0].batch) for batch in calls])
        for bars in drawn:
            for bar, provider in zip(bars, active, strict=True):
                bar.set_hatch("" if provider.own else "///")
        axes.set_ylabel("µs a call")
        axes.set_title(found.graph, loc="left")

    _write(path, (6.5, 3.6), draw)


def _line(axes: Axes, points: Sequence[tuple[int, Spread]], index: int, label: str) -> None:
    """Median per row against rows, with bars from the lowest to the highest round."""
    batches = [batch for batch, _ in points]
    medians = [spread.median / batch for batch, spread in points]
    below = [(spread.median - spread.low) / batch for batch, spread in points]
    above = [(spread.high - spread.median) / batch for batch, spread in points]
    axes.errorbar(
        batches,
        medians,
        (below, above),
        label=label,
        color=_COLOURS[index % len(_COLOURS)],
        marker=_MARKERS[index % len(_MARKERS)],
        markersize=4,
        linewidth=1.4,
        capsize=2,
    )


def _stack(axes: Axes, graph: LeveledGraph) -> None:
    """Nodes as stacked bars: in grey what is the same in every form, above it what changes."""
    counts = [level.operators for level in graph.levels]
    types = dict.fromkeys(operator for count in counts for operator in count)
    by_type = {operator: [count.get(operator, 0) for count in counts] for operator in types}
    changing = {operator: many for operator, many in by_type.items() if len(set(many)) > 1}
    shown = dict(list(changing.items())[: len(_COLOURS)])
    rest = {"all the same": by_type.keys() - changing.keys(), "others": changing.keys() - shown}
    parts = {
        name: [sum(count.get(operator, 0) for operator in operators) for count in counts]
        for name, operators in rest.items()
        if operators
    }
    names = [level.name for level in graph.levels]
    bottom = [0] * len(names)
    for colour, (name, many) in zip(
        (*_GREYS[: len(parts)], *_COLOURS), (parts | shown).items(), strict=False
    ):
        axes.bar(names, many, 0.7, bottom, label=name, color=colour)
        bottom = [low + high for low, high in zip(bottom, many, strict=True)]
    for x, total in enumerate(bottom):
        axes.text(x, total, str(total), ha="center", va="bottom")
    axes.set_ylim(0, 1.1 * max(bottom))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = axes.get_legend_handles_labels()
    # In the order of the stack, the topmost first.
    axes.legend(
        handles[::-1],
        labels[::-1],
        fontsize=8,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1, 1),
    )


def _bars(
    axes: Axes, names: Sequence[str], groups: Sequence[Sequence[Spread]], labels: Sequence[str]
) -> list[Any]:
    """Grouped bars of medians with the spread; a group's label "" has no legend entry."""
    width = 0.8 / max(1, len(groups))
    drawn = []
    for index, (spreads, label) in enumerate(zip(groups, labels, strict=True)):
        places = [x + (index - (len(groups) - 1) / 2) * width for x in range(len(names))]
        medians = [spread.median for spread in spreads]
        errors = (
            [spread.median - spread.low for spread in spreads],
            [spread.high - spread.median for spread in spreads],
        )
        bars = axes.bar(
            places,
            medians,
            width * 0.92,
            yerr=errors,
            color=_COLOURS[index % len(_COLOURS)],
            edgecolor="white",
            label=label or None,
            error_kw={"ecolor": "#333333", "elinewidth": 1, "capsize": 2},
        )
        drawn.append(bars)
    axes.set_xticks(range(len(names)), names)
    axes.grid(visible=False, axis="x")
    if any(labels):
        axes.legend(
            frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(labels), fontsize=8
        )
    return drawn


def _write(path: Path, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    """Make a figure of ``size`` inches, have it drawn, and write it; the suffix says as what."""
    with mpl.rc_context(_STYLE):
        figure = Figure(size, layout="constrained")
        draw(figure)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=150, metadata=metadata, facecolor="white")
