"""What a subject says to a row: outputs, or that it refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.models.rows import Array
from loadtests.payloads import Payload

#: Elements of the outputs that :func:`matrices` keeps, and labels it tells apart.
MAX_ELEMENTS = 64


class Refusal(msgspec.Struct, frozen=True):
    """The row was refused, with ``status``; ``words`` are the server's."""

    words: str
    status: int = 422


#: Outputs by name as JSON gives them (a value that is not finite is null there), or a refusal.
Answer = dict[str, Any] | Refusal

#: One answer per payload, in order; raises :class:`CompareError` where there is none to be had.
Ask = Callable[[Sequence[Payload]], Awaitable[list[Answer]]]


def array(value: Any) -> Array:
    """One output of one row as an array of shape (1, *shape): numbers, null as NaN, or texts.

    What is no array, because its rows differ in length, is a text: its own spelling.
    """
    try:
        row: Any = np.array(value)
    except ValueError:
        row = np.array(repr(value))
    if row.dtype.kind == "O":
        try:
            row = row.astype(np.float64)
        except (TypeError, ValueError):
            row = np.array(repr(value))
    return np.asarray(row)[np.newaxis]


def is_text(column: Array) -> bool:
    """Whether an array of :func:`array` holds texts."""
    return column.dtype.kind == "U"


def matrices(*subjects: Sequence[Answer]) -> list[npt.NDArray[np.float64]]:
    """The subjects' answers as numbers that can be subtracted, each of shape (rows, elements).

    The outputs' elements side by side, of large outputs ``MAX_ELEMENTS`` evenly spread ones; a text
    becomes a column per label, 1 where it is the label. The elements are those of the first
    answer of all; a row that was refused, or answered in another shape, is NaN.
    """
    answers = [answer for subject in subjects for answer in subject]
    first = next((answer for answer in answers if isinstance(answer, dict)), None)
    if first is None:
        return [np.full((len(subject), 0), np.nan) for subject in subjects]
    labels = {
        name: sorted({str(a[name]) for a in answers if isinstance(a, dict) and name in a})
        for name, value in first.items()
        if is_text(array(value))
    }
    width = len(_vector(first, first, labels))
    kept = np.unique(np.linspace(0, width - 1, MAX_ELEMENTS).round().astype(int))
    rows = [_vector(answer, first, labels) for answer in answers]
    table = np.array(
        [row if len(row) == width else np.full(width, np.nan) for row in rows], np.float64
    ).reshape(len(answers), width)
    ends = np.cumsum([len(subject) for subject in subjects])[:-1]
    return np.split(table[:, kept] if width else table, ends)


def _vector(
    answer: Answer, like: dict[str, Any], labels: dict[str, list[str]]
) -> npt.NDArray[np.float64]:
    """One row's elements; none where it was refused or an output is of another kind."""
    nothing: npt.NDArray[np.float64] = np.zeros(0)
    if isinstance(answer, Refusal):
        return nothing
    parts = []
    for name in like:
        if name in labels:
            parts.append(np.array([float(answer.get(name) == label) for label in labels[name]]))
            continue
        column = array(answer.get(name))
        if is_text(column):
            return nothing
        parts.append(column.ravel().astype(np.float64))
    return np.concatenate(parts) if parts else nothing
