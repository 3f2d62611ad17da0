"""Sentences of advice, with each number leading to the figure it is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from loadtests.compare.results import Figure, Sentence

#: A number; that of clients is a load, no finding.
_NUMBER = re.compile(
    r"(?<![\w.,/])[−-]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:e[+-]?\d+)?(?![\w/])(?! clients?\b)"
)
#: What a number of a sentence may be of a figure, the likeliest first: itself, a share in percent,
#: how much more or less a ratio is in percent, the ratio the other way round.
_READINGS: tuple[Callable[[float], float], ...] = (
    lambda value: value,
    lambda value: 100 * value,
    lambda value: 100 * (value - 1),
    lambda value: 1 / value if value else math.inf,
)


class Piece(msgspec.Struct, frozen=True):
    """Part of a sentence; ``figure`` is the id of the figure it is a number of."""

    text: str
    figure: str | None = None


class Linked(msgspec.Struct, frozen=True):
    """A sentence in pieces, and the figures it rests on that none of its numbers leads to."""

    pieces: list[Piece]
    others: list[str]


def linked(sentence: Sentence, figures: Mapping[str, Figure]) -> Linked:
    """Find the figure of each number in the sentence, among those it rests on."""
    known = [figures[name] for name in sentence.figures if name in figures]
    pieces = list(_pieces(sentence.text, known))
    found = {piece.figure for piece in pieces}
    return Linked(pieces, [figure.id for figure in known if figure.id not in found])


def _pieces(text: str, figures: list[Figure]) -> Iterator[Piece]:
    end = 0
    for match in _NUMBER.finditer(text):
        figure = _of(match.group(), figures)
        if figure is None:
            continue
        if match.start() > end:
            yield Piece(text[end : match.start()])
        yield Piece(match.group(), figure.id)
        end = match.end()
    if end < len(text):
        yield Piece(text[end:])


def _of(written: str, figures: list[Figure]) -> Figure | None:
    """The figure whose value, or else a bound of it, is written so when rounded."""
    number = float(written.replace(",", "").replace("−", "-"))
    last = _last_place(written)
    for reading in _READINGS:
        for bound in (False, True):
            for figure in figures:
                for value in (figure.low, figure.high) if bound else (figure.value,):
                    if value is None or not math.isfinite(value):
                        continue
                    # A sentence may say how much less: without the sign.
                    if abs(abs(reading(value)) - abs(number)) <= 0.5001 * last:
                        return figure
    return None


def _last_place(written: str) -> float:
    """What a one in the last written digit is worth."""
    mantissa, _, power = written.partition("e")
    _, _, decimals = mantissa.partition(".")
    return float(10.0 ** (int(power or 0) - len(decimals)))
