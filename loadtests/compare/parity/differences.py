"""How far two subjects' answers to the same rows are apart, row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.routing.agreement import compare
from loadtests.compare.parity.answers import Answer, Refusal, array, is_text


@dataclass(frozen=True, slots=True)
class Differences:
    """All arrays have shape ``(rows,)``.

    ``values``, float64 in the outputs' unit, is the row's largest absolute difference; infinite
    where there is none to give: two labels, shapes or kinds, a number and null, or a row that
    exactly one refused, which ``refused`` marks. ``compared`` marks rows that not both refused;
    the others have 0 and do not agree. ``agreeing``: within the tolerance. ``labels``: all texts
    are equal, None where no answer holds one. ``outputs`` names each row's most different output.
    """

    values: npt.NDArray[np.float64]
    agreeing: npt.NDArray[np.bool_]
    compared: npt.NDArray[np.bool_]
    refused: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.bool_] | None
    outputs: list[str]

    @property
    def finite(self) -> npt.NDArray[np.float64]:
        """The differences that are numbers."""
        return self.values[self.compared & np.isfinite(self.values)]


def differences(
    reference: Sequence[Answer], candidate: Sequence[Answer], tolerance: float
) -> Differences:
    """Compare two subjects' answers to the same rows, over the outputs the reference has.

    Row by row, because JSON's rows need not be alike: nulls, lists of another length. A value that
    is not finite is null in JSON, so NaN and the infinities are alike here.
    """
    count = len(reference)
    values, outputs = np.zeros(count), [""] * count
    compared, refused = np.ones(count, bool), np.zeros(count, bool)
    equal, labelled = np.ones(count, bool), False
    for row, (ours, theirs) in enumerate(zip(reference, candidate, strict=True)):
        if isinstance(ours, Refusal) or isinstance(theirs, Refusal):
            refused[row] = isinstance(ours, Refusal) != isinstance(theirs, Refusal)
            compared[row] = refused[row]
            values[row] = math.inf if refused[row] else 0.0
            continue
        one = {name: array(value) for name, value in ours.items()}
        other = {name: array(value) for name, value in theirs.items()}
        found = compare(one, other, tolerance)
        values[row], outputs[row] = found.differences[0], found.output
        for name, column in one.items():
            if is_text(column):
                labelled = True
                equal[row] &= name in other and np.array_equal(column, other[name])
    return Differences(
        values=values,
        agreeing=compared & (values <= tolerance),
        compared=compared,
        refused=refused,
        labels=equal if labelled else None,
        outputs=outputs,
    )
