"""How far two arrays are apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gateway.models.rows import Array


def largest(one: Array, other: Array) -> float:
    """The largest absolute difference of two arrays of one shape, 0 where they are empty.

    nan equals nan, and infinity itself. Infinite where something that is no number differs, or
    where only one of two is finite.
    """
    return float(_apart(one, other).max(initial=0.0))


def close(one: Array, other: Array, tolerance: float) -> npt.NDArray[np.bool_]:
    """Which elements of two arrays of one shape are at most `tolerance` apart; see :func:`largest`.

    What is no number must be equal.
    """
    near: npt.NDArray[np.bool_] = _apart(one, other) <= tolerance
    return near


def _apart(one: Array, other: Array) -> npt.NDArray[np.float64]:
    """The differences, element by element."""
    if not {one.dtype.kind, other.dtype.kind} <= set("fiub"):
        return np.where(np.asarray(one == other), 0.0, np.inf)
    wide, base = one.astype(np.float64), other.astype(np.float64)
    same = (wide == base) | (np.isnan(wide) & np.isnan(base))
    # Where only one of two is finite the difference is infinite, or nan, which means the same here.
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(np.abs(wide - base), nan=np.inf, posinf=np.inf)
    return np.where(same, 0.0, apart)
