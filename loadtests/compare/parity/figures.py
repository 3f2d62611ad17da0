"""The figures of a comparison of answers."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gateway.models.manifest import Manifest
from gateway.routing.agreement import Z_95, wilson
from loadtests.compare.parity.differences import Differences
from loadtests.compare.results import Figure, Histogram, Subject, figure_id

#: Bars of the histogram per power of ten.
PER_DECADE = 4
#: The powers of ten it covers at most; what lies beyond is counted at its ends.
_DECADES = (-12, 6)


def largest(found: Differences, prefix: str, unit: str, stand_in: str | None) -> Figure:
    """The largest difference; without a value where a row has none to give."""
    value = float(found.finite.max(initial=0.0))
    remark = _remark(found)
    if remark and found.finite.size:
        remark += f"; the largest of the others is {spelled(value)} {unit}".rstrip()
    return Figure(
        id=figure_id(prefix, "largest"),
        what="largest difference",
        value=None if remark else value,
        unit=unit,
        stand_in=stand_in,
        remark=remark,
    )


def mean(found: Differences, prefix: str, unit: str, stand_in: str | None) -> Figure:
    """The mean difference of the rows that have one, mean ± 1.96 standard errors."""
    values = found.finite
    value = low = high = None
    if values.size:
        value = float(values.mean())
    if values.size > 1 and value is not None:
        spread = Z_95 * float(values.std(ddof=1)) / math.sqrt(values.size)
        low, high = max(value - spread, 0.0), value + spread
    remark = _remark(found)
    return Figure(
        id=figure_id(prefix, "mean"),
        what="mean difference",
        value=value,
        unit=unit,
        low=low,
        high=high,
        stand_in=stand_in,
        remark=f"{remark}; they are left out" if remark and values.size else remark,
    )


def share(
    hits: npt.NDArray[np.bool_],
    of: npt.NDArray[np.bool_],
    name: str,
    what: str,
    stand_in: str | None,
) -> Figure:
    """The share of hits among the rows ``of``, with Wilson's interval; ``name`` is its id."""
    total, count = int(of.sum()), int((hits & of).sum())
    low, high = wilson(count, total)
    return Figure(
        id=figure_id(name),
        what=what,
        value=count / total if total else None,
        low=low if total else None,
        high=high if total else None,
        stand_in=stand_in,
        remark="" if total else "no row was answered",
    )


def histogram(found: Differences, tolerance: float) -> Histogram:
    """The finite differences by power of ten; the edges also hold the tolerance."""
    values = found.finite
    some = values[values > 0]
    shown = np.append(some, tolerance) if tolerance > 0 else some
    if not shown.size:
        return Histogram(edges=[], counts=[], zeros=int(values.size))
    low = min(max(math.floor(math.log10(shown.min())), _DECADES[0]), _DECADES[1] - 1)
    high = min(max(math.ceil(math.log10(shown.max())), low + 1), _DECADES[1])
    logs = np.clip(np.log10(some), low, high)
    counts, edges = np.histogram(logs, bins=(high - low) * PER_DECADE, range=(low, high))
    return Histogram(
        edges=[float(f"{10**edge:.6g}") for edge in edges],
        counts=counts.tolist(),
        zeros=int(values.size - some.size),
    )


def unit(manifest: Manifest) -> str:
    """The unit of a difference: that of the outputs, where they have one in common."""
    units = {output.unit for output in manifest.outputs if output.unit}
    return units.pop() if len(units) == 1 else ""


def stand_ins(*subjects: Subject) -> str | None:
    """The stand-ins that have a part in a figure of these subjects."""
    names = dict.fromkeys(subject.stand_in for subject in subjects if subject.stand_in)
    return " and ".join(names) or None


def spelled(value: float) -> str:
    """A difference as a reader takes it in: two digits, or whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _remark(found: Differences) -> str:
    """What keeps the rows from having a number, if anything does."""
    if not found.compared.any():
        return "no row was answered"
    beyond = int((found.compared & ~np.isfinite(found.values)).sum())
    return f"{beyond:,} rows differ beyond all measure" if beyond else ""
