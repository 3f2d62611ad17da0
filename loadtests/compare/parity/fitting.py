"""How well the answers to some values explain the answers to others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline, make_interp_spline
from scipy.optimize import minimize_scalar

Table = npt.NDArray[np.float64]

#: Where the curve between the points is looked at before the best place is refined.
_FINE = 1_000


def fit(
    points: Table, table: Table, target: Table, plain: Table, least: float, smooth: bool
) -> tuple[float, list[float]] | None:
    """How well rows of ``table``, of shape (points, n), explain those of ``target``, (values, n).

    Gives the part of the squared difference to ``plain``, which has the target's shape, that is
    left, and per value the point that explains it best (NaN where the value was not answered).
    Where ``smooth``, points between those asked count too. None: nothing there to explain.
    """
    usable = finite(table)
    answered = finite(target, plain)
    if usable.sum() < 2 or answered.sum() < min(2, len(target)):
        return None
    apart = squares(target, plain, answered)
    if apart <= least * answered.sum():
        return None
    points, table = points[usable], table[usable]
    curve = _curve(points, table) if smooth else None
    fine = np.union1d(points, np.linspace(points[0], points[-1], _FINE)) if smooth else points
    known = table if curve is None else curve(fine)
    left, places = 0.0, []
    for row, there in zip(target, answered, strict=True):
        if not there:
            places.append(np.nan)
            continue
        misses = np.square(known - row).sum(axis=1)
        best = int(misses.argmin())
        place, miss = float(fine[best]), float(misses[best])
        if curve is not None:
            around = fine[max(best - 1, 0)], fine[min(best + 1, len(fine) - 1)]
            refined = minimize_scalar(
                lambda point, row=row: float(np.square(curve(point) - row).sum()),
                bounds=around,
                method="bounded",
            )
            if refined.fun < miss:
                place, miss = float(refined.x), float(refined.fun)
        left += miss
        places.append(place)
    return left / apart, places


def _curve(points: Table, table: Table) -> BSpline:
    # Quintic between neighbouring whole numbers, which may lie far apart. Where points lie close to
    # each other and then far, a high degree makes much of their rounding errors.
    steps = np.diff(points)
    degree = 5 if steps.max() == steps.min() else 3
    return make_interp_spline(points, table, k=min(degree, len(points) - 1))


def squares(one: Table, other: Table, rows: npt.NDArray[np.bool_]) -> float:
    """The squared differences of these rows, summed up."""
    return float(np.square(one[rows] - other[rows]).sum())


def finite(*tables: Table) -> npt.NDArray[np.bool_]:
    """The rows, by shape (rows,), that hold a number everywhere in all of the tables."""
    if not tables[0].size:
        return np.zeros(len(tables[0]), bool)
    return np.asarray(np.isfinite(np.hstack(tables)).all(axis=1))
