"""What travels between the doors and the backends: a columnar batch in, named arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

#: Named output arrays; the first dimension of each is the row.
Outputs = Mapping[str, Array]


@dataclass(slots=True)
class Rows:
    """A batch of validated rows, one column per feature.

    ``columns[name]`` has shape ``(count,)`` for scalar features: int64 for ``integer``, float64
    for ``number``, bool for ``boolean``, object (of ``str``) for ``string``; a ``tensor``
    feature has shape ``(count, *shape)`` and the manifest's dtype. ``warnings`` are for the
    client: values that are answered although they lie outside what training has seen.
    """

    columns: dict[str, Array]
    count: int
    warnings: list[str] = field(default_factory=list)

    def as_objects(self) -> list[dict[str, object]]:
        """The rows as JSON-ready objects, in order: the descriptive payload again."""
        names = list(self.columns)
        values = [column.tolist() for column in self.columns.values()]
        return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]

    def slice(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop`` (views, not copies), without the warnings."""
        stop = min(stop, self.count)
        return Rows({name: col[start:stop] for name, col in self.columns.items()}, stop - start)


def concat_outputs(parts: Sequence[Outputs]) -> Outputs:
    """The outputs of consecutive parts of one batch as one."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
