"""What a model takes: one entry per input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from gateway.models.manifest import TensorType
from serving.importing.errors import ImportRefused


@dataclass(frozen=True)
class Spec:
    """One input of a model.

    `shape` is that of one row as the model takes it, None where it varies: () for a graph's
    (batch,), (1,) for its (batch, 1). `columns` names the elements of a flat row, where they have
    names. `categories` are the strings the model has learned; with `unknown` it answers others too.
    """

    name: str
    dtype: TensorType
    shape: tuple[int | None, ...] = ()
    columns: tuple[str, ...] = ()
    categories: tuple[str, ...] | None = None
    unknown: bool = False

    @property
    def scalar(self) -> bool:
        """Whether a row of it is one value."""
        return self.shape in ((), (1,))

    @property
    def kind(self) -> str:
        """numpy's kind of the dtype: one of i, u, f, b and O for strings."""
        return "O" if self.dtype == "string" else np.dtype(self.dtype).kind

    @property
    def text(self) -> str:
        """The input in the words of ``--input``."""
        size = "x".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.name}:{self.dtype}" + f":{size}" * bool(size)


def parse_spec(text: str) -> Spec:
    """``name:dtype:shape`` as a :class:`Spec`; raises :class:`ImportRefused`.

    The shape is that of one row, such as ``3x28x28``, with ``?`` for a size that varies; without
    it the input is a single value.
    """
    name, dtype, size = [*text.split(":"), "", ""][:3]
    wrong = f"--input {text}: it must look like name:dtype:shape, such as image:float32:3x28x28"
    if not name or text.count(":") not in (1, 2) or dtype not in get_args(TensorType):
        raise ImportRefused(f"{wrong}, with a dtype of {', '.join(get_args(TensorType))}")
    sizes: list[int | None] = []
    for part in size.replace(",", "x").split("x") if size else []:
        if part not in ("?", "any") and not part.isdecimal():
            raise ImportRefused(wrong)
        sizes.append(int(part) if part.isdecimal() else None)
    checked: Any = dtype
    return Spec(name, checked, tuple(sizes))
