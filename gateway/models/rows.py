"""What travels between the doors and the backends: a batch of rows in, named arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

#: What a graph takes: per input its dtype and rank. A scalar feature of rank 2 is (count, 1).
Inputs = Mapping[str, tuple[np.dtype[Any], int]]

#: Named output arrays; the first dimension of each is the row.
Outputs = Mapping[str, Array]

#: Shared by all rows that have nothing to say here.
_NOTHING: Mapping[str, int] = MappingProxyType({})


class Layout(Protocol):
    """Knows how the records of one model become columns."""

    def columns(self, records: Sequence[Any]) -> dict[str, Array]:
        """One array per feature, in the manifest's order."""
        ...

    def feeds(self, records: Sequence[Any], inputs: Inputs) -> dict[str, Array]:
        """One array per input of a graph, of its dtype and rank."""
        ...


class Rows:
    """A batch of validated rows.

    ``columns[name]`` has shape ``(count,)`` for scalar features: int64 for ``integer``, float64
    for ``number``, bool for ``boolean``, object (of ``str``) for ``string``; a ``tensor``
    feature has shape ``(count, *shape)`` and the manifest's dtype. Rows that came as JSON stay
    decoded records until somebody asks for columns, so that a batch of many requests builds each
    column once. ``warnings`` are for the client: values that are answered although they lie
    outside what training has seen; ``outside`` counts them by feature.
    """

    __slots__ = ("_columns", "_layout", "_records", "count", "outside", "warnings")

    def __init__(
        self, columns: dict[str, Array], count: int, warnings: list[str] | None = None
    ) -> None:
        self._columns: dict[str, Array] | None = columns
        self._records: list[Any] | None = None
        self._layout: Layout | None = None
        self.count = count
        self.warnings = warnings or []
        self.outside = _NOTHING

    @classmethod
    def of(
        cls,
        layout: Layout,
        records: list[Any],
        warnings: list[str] | None = None,
        columns: dict[str, Array] | None = None,
        outside: Mapping[str, int] = _NOTHING,
    ) -> Rows:
        """Rows of decoded records; ``columns`` where they had to be built already."""
        rows = cls.__new__(cls)
        rows._columns = columns
        rows._records = records
        rows._layout = layout
        rows.count = len(records)
        rows.warnings = warnings or []
        rows.outside = outside
        return rows

    @property
    def columns(self) -> dict[str, Array]:
        """One array per feature; see the class."""
        if self._columns is None:
            assert self._layout is not None
            assert self._records is not None
            self._columns = self._layout.columns(self._records)
        return self._columns

    def feeds(self, inputs: Inputs) -> dict[str, Array]:
        """The columns as a graph takes them, each of its dtype and rank.

        Records go there directly: for a single row, building an array costs as much as a layer.
        """
        if self._columns is None and self._layout is not None and self._records is not None:
            return self._layout.feeds(self._records, inputs)
        columns = self.columns
        return {name: shaped(columns[name], *kind) for name, kind in inputs.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of the columns that have been built; strings count as pointers."""
        columns = self._columns
        return 0 if columns is None else sum([column.nbytes for column in columns.values()])

    @property
    def objects(self) -> list[Any]:
        """The rows as what msgspec encodes to the descriptive payload's JSON objects, in order."""
        if self._records is not None:
            return self._records
        columns = self.columns
        values = [column.tolist() for column in columns.values()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]

    def slice(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop`` (views, not copies), without the warnings."""
        stop = min(stop, self.count)
        return Rows({name: col[start:stop] for name, col in self.columns.items()}, stop - start)

    def compatible(self, other: Rows) -> bool:
        """Whether both fit in one batch: rows of tensors that vary may differ in shape."""
        if self._columns is None or other._columns is None:
            return True
        return all(
            column.shape[1:] == other._columns[name].shape[1:]
            for name, column in self._columns.items()
        )


def join(parts: Sequence[Rows]) -> Rows:
    """The rows of several requests for one model as one batch, in order, without warnings."""
    first = parts[0]
    if len(parts) == 1:
        return first
    records: list[Any] = []
    for part in parts:
        records += part._records or []
    count = sum(part.count for part in parts)
    layout = first._layout if len(records) == count else None
    if layout is not None and first._columns is None:
        return Rows.of(layout, records)
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns
    }
    return Rows(columns, count) if layout is None else Rows.of(layout, records, columns=columns)


def shaped(column: Array, dtype: np.dtype[Any], rank: int) -> Array:
    """A column as an array of this dtype and rank: (count,) becomes (count, 1, …)."""
    if column.dtype != dtype:
        column = column.astype(dtype)
    if column.ndim < rank:
        column = column.reshape(column.shape + (1,) * (rank - column.ndim))
    return column


def concat_outputs(parts: Sequence[Outputs]) -> Outputs:
    """The outputs of consecutive parts of one batch as one."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
