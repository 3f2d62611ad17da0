"""Whether two backends answered the same, row by row, and how sure a rate of agreement is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.models.rows import Array, Outputs

#: The quantile of the normal distribution that leaves 2.5 % on either side.
Z_95 = 1.96
#: Kinds of numpy dtypes that are compared as numbers: float, signed, unsigned, bool.
_NUMERIC = "fiub"
_WHOLE = "iub"


@dataclass(slots=True)
class RowDifferences:
    """How far two answers to the same rows are apart.

    ``differences`` has shape ``(rows,)``, float64, in the outputs' unit: the row's largest absolute
    difference over all outputs and their elements; infinite where there is none to give, as for
    a number and NaN, two different strings, or an output that is missing or of another shape.
    ``agreeing`` has shape ``(rows,)``, bool: the difference is within the tolerance. ``row`` is the
    first row with the largest difference and ``output`` the output that has it.
    """

    differences: npt.NDArray[np.float64]
    agreeing: npt.NDArray[np.bool_]
    row: int
    output: str


def compare(primary: Outputs, candidate: Outputs, tolerance: float) -> RowDifferences:
    """Compare two answers of at least one row, over the outputs ``primary`` has.

    NaN equals NaN and an infinity itself. An output that ``candidate`` lacks, or has in another
    shape, row count or as text instead of numbers, makes every row disagree.
    """
    columns = {}
    for name, ours in primary.items():
        theirs = candidate.get(name)
        if theirs is None or ours.shape != theirs.shape:
            columns[name] = np.full(len(ours), math.inf)
        else:
            columns[name] = _distances(ours, theirs)
    if len(columns) == 1:
        ((output, differences),) = columns.items()
        row = int(differences.argmax())
    else:
        differences = np.maximum.reduce(list(columns.values()))
        row = int(differences.argmax())
        worst = differences[row]
        output = next(name for name, column in columns.items() if column[row] == worst)
    return RowDifferences(differences, differences <= tolerance, row, output)


def _distances(ours: Array, theirs: Array) -> npt.NDArray[np.float64]:
    """Per row the largest distance of two arrays of one shape; never NaN."""
    kinds = ours.dtype.kind, theirs.dtype.kind
    numeric = kinds[0] in _NUMERIC, kinds[1] in _NUMERIC
    if numeric == (True, True):
        if ours.size == 1:
            # Most requests are of one row, where Python's numbers are faster than numpy's arrays.
            return np.array([_distance(ours.item(), theirs.item())])
        distances = _elements(ours, theirs, kinds[0] in _WHOLE and kinds[1] in _WHOLE)
    elif numeric == (False, False):
        distances = np.where(ours == theirs, 0.0, math.inf)
    else:
        distances = np.full(ours.shape, math.inf)
    if distances.ndim == 1:
        return distances
    largest: npt.NDArray[np.float64] = distances.reshape(len(ours), -1).max(axis=1, initial=0.0)
    return largest


def _distance(ours: Any, theirs: Any) -> float:
    if ours == theirs or (ours != ours and theirs != theirs):
        return 0.0
    distance = float(abs(ours - theirs))
    return math.inf if math.isnan(distance) else distance


def _elements(ours: Array, theirs: Array, whole: bool) -> npt.NDArray[np.float64]:
    with np.errstate(invalid="ignore", over="ignore"):
        distances: npt.NDArray[np.float64] = np.subtract(ours, theirs, dtype=np.float64)
        np.abs(distances, out=distances)
    if whole:
        # Beyond 2**53 float64 takes neighbours for one; two whole numbers differ by one at least.
        distances[(ours != theirs) & (distances < 1)] = 1.0
    undecided = np.isnan(distances)
    if undecided.any():
        # NaN - NaN and inf - inf are the same number twice; the rest are a number and NaN.
        left: Any = ours[undecided]
        right: Any = theirs[undecided]
        same = (left == right) | ((left != left) & (right != right))
        distances[undecided] = np.where(same, 0.0, math.inf)
    return distances


def wilson(successes: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion, lowest and highest; (0, 1) of nothing.

    Unlike the textbook's p ± z·s it keeps its level near 0 and 1, which is where agreement rates
    are: 1,000 of 1,000 gives 0.996 to 1, not 1 to 1. Assumes independent trials. E. B. Wilson,
    "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if total == 0:
        return 0.0, 1.0
    rate = successes / total
    spread = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    centre = rate + z * z / (2 * total)
    scale = 1 + z * z / total
    # Rounding may step over what the formula gives exactly at its ends.
    low = max((centre - spread) / scale, 0.0) if successes else 0.0
    high = min((centre + spread) / scale, 1.0) if successes < total else 1.0
    return low, high
