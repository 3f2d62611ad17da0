"""How large the differences of two subjects of a lineage are, against the tolerance."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from loadtests.compare.report.numerals import number
from loadtests.compare.report.plots.axis import below, from_zero, logarithmic, rules
from loadtests.compare.report.plots.drawing import (
    ALERT,
    PAPER,
    Plot,
    canvas,
    heading,
    plot,
    styles,
)
from loadtests.compare.results import Parity, figure_id


def differences(parity: Parity) -> Plot | None:
    """The histogram with the tolerance as a line; None where every row is exactly equal."""
    bins = _bins(parity)
    if not bins:
        return None
    zeros = parity.histogram.zeros if parity.histogram else 0
    unit = f", {parity.largest.unit}" if parity.largest.unit else ""
    colour = styles(["differences"], [False])["differences"].colour
    with canvas(right=22.0) as axes:
        reach = [edge for low, high, _ in bins for edge in (low, high)]
        shown = [*reach, parity.tolerance] if parity.tolerance > 0 else reach
        logarithmic(axes, "x", shown)
        from_zero(axes, "y", [1.1 * count for _, _, count in bins])
        axes.bar(
            [low for low, _, _ in bins],
            [count for _, _, count in bins],
            width=[high - low for low, high, _ in bins],
            align="edge",
            color=colour,
            edgecolor=PAPER,
            linewidth=0.8,
        )
        if parity.tolerance > 0:
            _tolerance(axes, parity.tolerance)
        rules(axes)
        heading(axes, "rows")
        below(axes, f"difference{unit}")
        over = sum(count for low, _, count in bins if low >= parity.tolerance)
        total = sum(count for _, _, count in bins)
        exact = f"{zeros:,} more rows are exactly equal." if zeros else ""
        stand_in = "A stand-in has a part in it." if parity.largest.stand_in else ""
        note = f"{exact} {stand_in}".strip()
        return plot(
            axes,
            name=figure_id("plot", "differences", parity.reference, parity.candidate),
            title="How many rows differ how much",
            note=note,
            words=f"Differences of {parity.candidate} from {parity.reference}: {total:,} rows from "
            f"{number(min(reach))} to {number(max(reach))}{unit}, {over:,} of them beyond the "
            f"tolerance of {number(parity.tolerance)}. {note}".rstrip(),
        )


def _tolerance(axes: Axes, tolerance: float) -> None:
    axes.axvline(tolerance, color=ALERT, linewidth=1.4, dashes=(4, 2))
    low, high = axes.get_xlim()
    right = math.log(tolerance / low) < 0.6 * math.log(high / low)
    axes.annotate(
        "tolerance",
        (tolerance, 1),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, -2),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        color=ALERT,
    )


def _bins(parity: Parity) -> list[tuple[float, float, int]]:
    """Lower edge, upper edge and count of what can be drawn, without empty ends."""
    if parity.histogram is None:
        return []
    edges, counts = parity.histogram.edges, parity.histogram.counts
    bins = [
        (low if low > 0 else high / 10, high if math.isfinite(high) else low * 10, count)
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if low >= 0 and high > 0 and math.isfinite(low)
    ]
    filled = [i for i, (_, _, count) in enumerate(bins) if count]
    return bins[filled[0] : filled[-1] + 1] if filled else []
