"""Finds the simple fault that would make one subject answer as it does, if there is one.

Two kinds are tried, by asking the subjects. *Another value*: where a feature is v, one of them
answers as the other does where the same feature is u, in all rows alike, whatever their other
features are. That is so for any fault in what becomes of one feature before the model: a logarithm,
another scale, a shift, a value ignored, categories mixed up. *Exchanged*: one answers as the other
does where two features have changed places, as they are or on the scale of their ranges.

Only a fault of this very form explains rows that differ at random in everything else, so an
explanation names the culprit even where the fault saturates the network and every feature's effect
with it. Two features that enter the model in the same way cannot be told apart, and a fault that
shifts one by a constant may be a bias of the model. Not found are faults of several features beyond
exchanges; values that the validator would refuse, or far outside the range (see :func:`_grid`);
small faults of a feature with few whole numbers, such as 1 % more stress, because what lies between
whole numbers cannot be asked and is but interpolated; texts and tensors.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.models.manifest import Manifest
from loadtests.compare.parity.answers import Ask, matrices
from loadtests.compare.parity.fitting import finite, fit, squares
from loadtests.payload_values import Choices, Numbers, kinds
from loadtests.payloads import Payload

#: The part of the squared difference an explanation may leave. Of 168 general faults of random
#: networks (all weights off, another network) the best wrong explanation left 0.0146 at least,
#: mostly 0.1 to 0.8; right ones leave 1e-6 and less, but for features of few whole numbers.
LEFT = 0.005
#: So little is left by the right one only: no further one is tried.
_CERTAIN = 1e-8
#: Rows that an explanation must hold in; fewer than half of them answered prove nothing.
ROWS = 16
#: Features that are tried, those with the largest effect on the difference first.
MOST_FEATURES = 12
#: Values of a feature that must be explained, and those tried instead, over its range, a range
#: below and two above; near each value to explain a few more, for small faults.
_VALUES = 4
_GRID = 49
_NEAR = (-0.05, -0.01, 0.0, 0.01, 0.05)


@dataclass(frozen=True, slots=True)
class Explanation:
    """``features`` are at fault; ``left`` is the unexplained part of the squared difference.

    ``words`` says it in a sentence that stands alone. ``constant``: one subject answers as for a
    single value, whatever the feature is.
    """

    features: tuple[str, ...]
    left: float
    words: str
    constant: bool = False


class Explainer:
    """Tries explanations on ``rows``; ``names`` and ``asks`` are the reference's, the candidate's.

    ``scale`` is the least difference of answers worth an explanation, in the outputs' unit.
    """

    def __init__(
        self,
        names: tuple[str, str],
        asks: tuple[Ask, Ask],
        manifest: Manifest,
        rows: Sequence[Payload],
        scale: float,
    ) -> None:
        self._names = names
        self._asks = asks
        self._kinds = kinds(manifest)
        self._strict = manifest.out_of_range == "reject"
        self._rows = list(rows[:ROWS])
        self._least = scale**2

    async def explain(self, features: Sequence[str]) -> Explanation | None:
        """The best explanation by one or two of these features, None where none is good enough.

        Raises :class:`CompareError` where a subject does not answer.
        """
        tried = list(features[:MOST_FEATURES])
        found = []
        async for each in self._all(tried):
            if each is not None and each.left <= LEFT:
                found.append(each)
                if each.left <= _CERTAIN:
                    break
        return min(found, key=lambda each: each.left, default=None)

    async def _all(self, features: Sequence[str]) -> AsyncIterator[Explanation | None]:
        """Exchanges first, which take the fewest rows."""
        for one, other in itertools.combinations(features, 2):
            yield await self._exchanged(one, other, scaled=False)
            yield await self._exchanged(one, other, scaled=True)
        for name in features:
            yield await self._another_value(name)

    async def _another_value(self, name: str) -> Explanation | None:
        kind = self._kinds[name]
        if kind.shape:
            return None
        values = self._to_explain(name)
        instead = values if isinstance(kind, Choices) else _grid(kind, values, self._strict)
        both = values, instead
        parts = [[row | {name: value} for value in some for row in self._rows] for some in both]
        asked = [ask(part) for ask in self._asks for part in parts]
        tables = matrices(*await asyncio.gather(*asked))
        if not tables[0].shape[1]:
            return None
        ours, ours_instead, theirs, theirs_instead = (
            table.reshape(-1, len(self._rows) * table.shape[1]) for table in tables
        )
        smooth = isinstance(kind, Numbers)
        points = np.array(instead if smooth else range(len(instead)), np.float64)
        given = np.array(values if smooth else range(len(values)), np.float64)
        found = []
        for one, like, table, target, plain in (
            (self._names[1], self._names[0], ours_instead, theirs, ours),
            (self._names[0], self._names[1], theirs_instead, ours, theirs),
        ):
            fitted = fit(points, table, target, plain, self._least, smooth)
            if fitted is None:
                continue
            left, places = fitted
            pairs = [
                (value, place if smooth else instead[int(place)])
                for value, place, fine in zip(values, places, np.isfinite(places), strict=True)
                if fine
            ]
            constant = _constant([b for _, b in pairs], kind) and not _constant(list(given), kind)
            found.append(Explanation((name,), left, _words(name, one, like, pairs), constant))
        return min(found, key=lambda each: each.left, default=None)

    def _to_explain(self, name: str) -> list[Any]:
        """Some of the values the rows have, from the lowest to the highest."""
        kind = self._kinds[name]
        if isinstance(kind, Choices):
            return list(kind.options)
        seen = sorted({row[name] for row in self._rows})
        places = np.linspace(0, len(seen) - 1, min(_VALUES, len(seen))).round().astype(int)
        return [seen[place] for place in places]

    async def _exchanged(self, one: str, other: str, *, scaled: bool) -> Explanation | None:
        first, second = self._kinds[one], self._kinds[other]
        if first.shape or second.shape or type(first) is not type(second):
            return None
        rows = [dict(row) for row in self._rows]
        swapped = None
        if isinstance(first, Numbers) and isinstance(second, Numbers):
            if scaled:
                swapped = _scaled(rows, one, other, first, second)
            else:
                self._draw_alike(rows, one, other, first, second)
        elif scaled or set(first.edges) != set(second.edges):
            return None
        if swapped is None:
            swapped = [row | {one: row[other], other: row[one]} for row in rows]
        ours, ours_swapped, theirs = matrices(
            *await asyncio.gather(self._asks[0](rows), self._asks[0](swapped), self._asks[1](rows))
        )
        answered = finite(ours, ours_swapped, theirs)
        if answered.sum() < len(rows) / 2:
            return None
        apart = squares(ours, theirs, answered)
        if apart <= self._least * answered.sum():
            return None
        words = (
            f"{self._names[1]} answers as {self._names[0]} does with {one} and {other} exchanged"
            + " on the scale of their ranges" * scaled
        )
        return Explanation((one, other), squares(ours_swapped, theirs, answered) / apart, words)

    def _draw_alike(
        self, rows: list[Payload], one: str, other: str, first: Numbers, second: Numbers
    ) -> None:
        """Give two features of each row values that either may have.

        From one's range and the other's in turn where values outside a range are answered: one of
        2,000 kcal in place of weeks saturates everything, and hides whose place it has taken.
        """
        random = np.random.default_rng(len(rows))
        for index, row in enumerate(rows):
            if not self._strict:
                kind = (first, second)[index % 2]
                row.update({one: kind.draw(random), other: kind.draw(random)})
            if first.whole or second.whole:
                row.update({one: round(row[one]), other: round(row[other])})


def _scaled(
    rows: list[Payload], one: str, other: str, first: Numbers, second: Numbers
) -> list[Payload]:
    """Put ``rows`` at opposite ends of two ranges, and give them with the ends exchanged.

    At the ends, because between them a whole number need not have a counterpart.
    """
    ends = [
        {one: first.low, other: second.high},
        {one: first.high, other: second.low},
    ]
    swapped = []
    for index, row in enumerate(rows):
        swapped.append(row | ends[(index + 1) % 2])
        row.update(ends[index % 2])
    return swapped


def _grid(kind: Numbers, values: Sequence[Any], strict: bool) -> list[Any]:
    """The values tried instead of ``values``; a feature that is never negative stays so."""
    size = (kind.high - kind.low) or 1
    low, high = min(kind.low, *values), max(kind.high, *values)
    if not strict:
        lowest = low - size
        low, high = max(lowest, low / 1_000) if low >= 0 else lowest, high + 2 * size
    points = [*np.linspace(low, high, _GRID).tolist()]
    points += [value + size * near for value in values for near in _NEAR]
    if kind.whole:
        points = [round(point) for point in points]
    inside = [point for point in points if low <= point <= high]
    return sorted({*inside, *values})


def _constant(values: Sequence[Any], kind: Choices | Numbers) -> bool:
    if isinstance(kind, Choices):
        return len(set(values)) == 1
    return bool(max(values) - min(values) <= 0.02 * (kind.high - kind.low))


def _words(name: str, one: str, like: str, pairs: Sequence[tuple[Any, Any]]) -> str:
    changed = [(value, instead) for value, instead in pairs if _spelled(value) != _spelled(instead)]
    shown = changed[:1] + changed[1:][-1:]
    said = " and ".join(f"{_spelled(b)} instead of {_spelled(a)}" for a, b in shown)
    said = said or "a little different"
    return f"{one} answers as {like} does where {name} is {said}"


def _spelled(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
