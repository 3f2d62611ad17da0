"""What several rounds say together: intervals, and which differences are decided.

Two subjects are measured in turn, round after round, so a machine that is slow for a while is slow
for both. Everything here is therefore *paired*: the candidate's round is held against the
reference's of the same number, and what the machine did to both cancels out (R. Jain, *The Art of
Computer Systems Performance Analysis*, 1991, section 13.4.1). A round, not a request, is the unit:
the requests of one round are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, TypeGuard

import msgspec
import numpy as np
from scipy import stats

#: The level of the intervals that are shown, and 1 − the chance of any wrong decision.
LEVEL = 0.95
#: Nothing is decided from fewer rounds: two may agree by chance.
MIN_ROUNDS = 3


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate from ``rounds`` rounds and its confidence interval.

    ``value`` None: it could not be estimated, ``remark`` says why. ``low`` and ``high`` are None
    where there is no interval: nothing was estimated, or from one round only.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    remark: str = ""


class Trial(msgspec.Struct, frozen=True):
    """A test whether a ratio is beyond a margin on either side of 1.

    ``side`` is the side the ratio lies on; ``p`` the chance (0–1) of rounds that look at least as
    far beyond the margin, on either side, if the ratio were not beyond it.
    """

    side: Literal["higher", "lower"]
    p: float


def mean_interval(values: Sequence[float | None], level: float = LEVEL) -> Interval:
    """The mean of rounds with Student's t-interval.

    x̄ ± t(n − 1, (1 + level) / 2) · s / √n (Student, "The probable error of a mean", Biometrika 6,
    1908). Supposes independent rounds whose mean is about normal; it is too wide, not too narrow,
    for heavy tails. Without a spread between the rounds it is a point. None, NaN and infinities are
    rounds in which nothing was measured: one makes the whole undecided, for what is missing is
    seldom missing by chance.
    """
    missing = [number for number, value in enumerate(values, 1) if not _finite(value)]
    if missing or not values:
        return Interval(value=None, rounds=len(values), remark=_missing(missing, len(values)))
    return _interval(np.array(values, dtype=np.float64), level)


def amounts_interval(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """The ends of :func:`mean_interval` for amounts that are never negative, so cut off at 0.

    Of fewer than two finite values there is none.
    """
    found = mean_interval(values)
    if found.low is None or found.high is None:
        return None, None
    return max(found.low, 0.0), found.high


def ratio(
    candidate: Sequence[float | None], reference: Sequence[float | None], level: float = LEVEL
) -> Interval:
    """Candidate ÷ reference: the geometric mean of the rounds' ratios with its interval.

    exp of the t-interval of ln(cᵢ / rᵢ), so that the interval of the inverse is the inverse of the
    interval, and twice and half as much are equally far from 1 (P. Fleming and J. Wallace, "How not
    to lie with statistics", CACM 29, 1986). A round with a value of 0 or less counts as one in
    which nothing was measured. Where one side has more rounds, those without a partner are left out
    and ``remark`` says so.
    """
    logs, remark = _logs(candidate, reference)
    if logs is None:
        return Interval(value=None, rounds=len(candidate), remark=remark)
    return _transformed(_interval(logs, level), math.exp, remark)


def difference(
    candidate: Sequence[float | None], reference: Sequence[float | None], level: float = LEVEL
) -> Interval:
    """Candidate − reference: the mean of the rounds' differences with its paired t-interval.

    In the unit of the values; rounds that are missing or have no partner as for :func:`ratio`.
    """
    pairs, remark = _paired(candidate, reference)
    if pairs is None:
        return Interval(value=None, rounds=len(candidate), remark=remark)
    return _transformed(_interval(pairs[0] - pairs[1], level), float, remark)


def beyond(
    candidate: Sequence[float | None], reference: Sequence[float | None], margin: float
) -> Trial | None:
    """Test whether candidate ÷ reference is above ``margin`` or below 1 / ``margin``; margin ≥ 1.

    Two one-sided t-tests of the mean of ln(cᵢ / rᵢ) against ± ln(margin), of which the p-value of
    the nearer is doubled. ``p`` ≤ α says the same as: the interval at level 1 − α lies wholly
    beyond the margin. None where nothing can be tested: a round is missing, or there are fewer than
    ``MIN_ROUNDS`` pairs.
    """
    logs, _ = _logs(candidate, reference)
    if logs is None or len(logs) < MIN_ROUNDS:
        return None
    mean = float(logs.mean())
    excess = abs(mean) - math.log(margin)
    error = _standard_error(logs)
    if error == 0:
        one_sided = 0.0 if excess > 0 else 1.0
    else:
        one_sided = float(stats.t.sf(excess / error, len(logs) - 1))
    return Trial("higher" if mean > 0 else "lower", min(1.0, 2 * one_sided))


def holm(p_values: Sequence[float], alpha: float = 1 - LEVEL) -> list[bool]:
    """Which of the hypotheses are rejected, with a chance of at most ``alpha`` of any wrongly so.

    In order of p: the kth smallest of m is rejected while p ≤ α / (m − k + 1), and none after the
    first that is not. Supposes nothing of how the tests depend on each other (S. Holm, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979).
    """
    rejected = [False] * len(p_values)
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for done, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - done):
            break
        rejected[index] = True
    return rejected


_Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def _interval(values: _Floats, level: float) -> Interval:
    """Of at least one finite value."""
    count, mean = len(values), float(values.mean())
    if count == 1:
        return Interval(value=mean, rounds=1, remark="one round: no interval")
    half = _quantile((1 + level) / 2, count - 1) * _standard_error(values)
    return Interval(value=mean, low=mean - half, high=mean + half, rounds=count)


@lru_cache(maxsize=256)
def _quantile(share: float, freedom: int) -> float:
    """Of Student's t; a document asks for the same one hundreds of times."""
    return float(stats.t.ppf(share, freedom))


def _standard_error(values: _Floats) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _transformed(interval: Interval, to: Callable[[float], float], remark: str) -> Interval:
    value, low, high = (
        None if each is None else _exact(to, each)
        for each in (interval.value, interval.low, interval.high)
    )
    remarks = "; ".join(filter(None, [interval.remark, remark]))
    return Interval(value=value, low=low, high=high, rounds=interval.rounds, remark=remarks)


def _exact(to: Callable[[float], float], value: float) -> float:
    """The end of an interval from two rounds that differ much may be beyond all numbers."""
    try:
        return to(value)
    except OverflowError:
        return math.inf


def _logs(
    candidate: Sequence[float | None], reference: Sequence[float | None]
) -> tuple[_Floats | None, str]:
    """Per pair of rounds ln(c / r), or None and why not."""
    positive = [
        [value if _finite(value) and value > 0 else None for value in side]
        for side in (candidate, reference)
    ]
    pairs, remark = _paired(*positive)
    return (None if pairs is None else np.log(pairs[0]) - np.log(pairs[1])), remark


def _paired(
    candidate: Sequence[float | None], reference: Sequence[float | None]
) -> tuple[tuple[_Floats, _Floats] | None, str]:
    """The rounds both have, in order, or None and why not; and what there is to remark."""
    pairs = list(zip(candidate, reference, strict=False))
    missing = [number for number, pair in enumerate(pairs, 1) if not all(map(_finite, pair))]
    if missing or not pairs:
        return None, _missing(missing, len(pairs))
    remark = ""
    if len(candidate) != len(reference):
        remark = f"{len(candidate)} against {len(reference)} rounds: the first {len(pairs)} count"
    ours, theirs = np.array(pairs, dtype=np.float64).T
    return (ours, theirs), remark


def _missing(missing: Sequence[int], rounds: int) -> str:
    if not missing:
        return "no rounds"
    return f"nothing was measured in round {', '.join(map(str, missing))} of {rounds}"


def _finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
