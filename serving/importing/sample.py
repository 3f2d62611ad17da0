"""Sample rows, read from a CSV or an .npz file."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gateway.models.rows import Array
from serving.importing.errors import ImportRefused, refusing

#: How a CSV spells that there is no value; pandas reads the same as missing.
MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>"})
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class LeftOut:
    """Rows of a sample that cannot be sent: how many, and in how many of them each reason holds."""

    rows: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    def also(self, rows: int, reasons: Mapping[str, int]) -> LeftOut:
        """These and further ones."""
        return LeftOut(self.rows + rows, {**self.reasons, **reasons})

    @property
    def because(self) -> dict[str, int]:
        """The reasons that hold for any row."""
        return {reason: rows for reason, rows in self.reasons.items() if rows}


@dataclass(frozen=True)
class Sample:
    """Rows as they stand in a file: texts of a CSV, arrays (rows, …) of an .npz."""

    path: Path
    columns: Mapping[str, Sequence[str] | Array]
    sha256: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def has_text(self, name: str) -> bool:
        """Whether the column holds something else than numbers and booleans."""
        column = self.columns[name]
        if isinstance(column, np.ndarray):
            return column.dtype.kind in "OUS"
        return self.values(name).dtype.kind == "O"

    def values(self, name: str, as_text: bool = False) -> Array:
        """What the column holds, typed, without what is missing or infinite."""
        column, present = self.columns[name], self.present(name)
        if isinstance(column, np.ndarray):
            there: Array = column[present]
            return there.astype(str).astype(object) if as_text else there
        texts = [text for text, there in zip(column, present, strict=True) if there]
        return np.array(texts, object) if as_text else typed(texts)

    def present(self, name: str, learned: Collection[str] = ()) -> Any:
        """Where the column has a value, bool (rows,); `learned` are strings that are one, however
        much they look like none."""
        column = self.columns[name]
        if isinstance(column, np.ndarray):
            return _finite(column)
        return np.array([text not in MISSING or text in learned for text in column])

    def read(
        self,
        strings: Mapping[str, bool],
        learned: Mapping[str, Collection[str]] | None = None,
        gaps: Collection[str] = (),
    ) -> tuple[dict[str, Array], LeftOut]:
        """The columns named, typed, without rows in which one is missing or infinite; and those.

        `strings` says of each whether its texts stay texts; other columns become int64, float64
        or bool where all texts are such, else objects of str. `learned` has strings that look
        missing and are not. In the columns `gaps`, of numbers, what is missing becomes NaN.
        """
        there = np.ones(len(self), bool)
        reasons: dict[str, int] = {}
        for name in [name for name in strings if name not in gaps]:
            present = self.present(name, (learned or {}).get(name, ()))
            reasons[f"{name} is missing"] = int((~present).sum())
            there &= present
        if not there.any():
            raise ImportRefused(f"{self.path.name}: a value is missing in every row")
        columns: dict[str, Array] = {}
        for name, as_text in strings.items():
            column = self.columns[name]
            if isinstance(column, np.ndarray):
                kept: Array = column[there]
                columns[name] = kept.astype(str).astype(object) if as_text else kept
            else:
                texts = [t for t, keep in zip(column, there, strict=True) if keep]
                if name in gaps:
                    texts = ["nan" if text in MISSING else text for text in texts]
                columns[name] = np.array(texts, object) if as_text else typed(texts)
        # A CSV may spell infinity, and NaN, in more ways than those that are known to be missing.
        finite = np.ones(int(there.sum()), bool)
        for name, array in columns.items():
            usable = _finite(array, nan=name in gaps)
            reasons[f"{name} is not finite"] = int((~usable).sum())
            finite &= usable
        if not finite.any():
            raise ImportRefused(f"{self.path.name}: a value is missing or infinite in every row")
        left = LeftOut(int((~there).sum() + (~finite).sum()), reasons)
        return {name: column[finite] for name, column in columns.items()}, left


def read_sample(path: Path) -> Sample:
    """Read a CSV with a header, or an .npz with one array per input; raises ImportRefused."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImportRefused(f"--sample {path}: {error.strerror}") from error
    if path.suffix == ".npz":
        with refusing(f"--sample {path.name}"), np.load(path, allow_pickle=False) as arrays:
            columns: dict[str, Any] = {name: arrays[name] for name in arrays.files}
    elif path.suffix == ".csv":
        columns = _read_csv(path, content)
    else:
        raise ImportRefused(f"--sample {path.name}: it must be a .csv or an .npz file")
    lengths = {len(column) if np.ndim(column) else 0 for column in columns.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ImportRefused(f"--sample {path.name}: it has no rows, or columns of different length")
    return Sample(path, columns, hashlib.sha256(content).hexdigest())


def typed(texts: Sequence[str]) -> Array:
    """Texts as int64, float64 or bool where all are such, else as objects of str, (n,)."""
    for kind in (int, float):
        try:
            return np.array([kind(text) for text in texts], np.int64 if kind is int else np.float64)
        except (ValueError, OverflowError):
            continue
    if all(text.lower() in _BOOLEANS for text in texts):
        return np.array([_BOOLEANS[text.lower()] for text in texts])
    return np.array(texts, object)


def _finite(column: Array, nan: bool = False) -> Any:
    """Which rows hold no infinity, and no NaN unless `nan`."""
    if column.dtype.kind != "f":
        return np.ones(len(column), bool)
    flat: Any = column.reshape(len(column), -1)
    return (np.isfinite(flat) | (np.isnan(flat) & nan)).all(axis=1)


def _read_csv(path: Path, content: bytes) -> dict[str, list[str]]:
    with refusing(f"--sample {path.name}"):
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        rows = [row for row in csv.reader(text) if row]
    if len(rows) < 2:
        raise ImportRefused(f"--sample {path.name}: it must have a header and at least one row")
    header = rows[0]
    if len(set(header)) < len(header) or any(len(row) != len(header) for row in rows):
        raise ImportRefused(f"--sample {path.name}: a column has no name of its own in every row")
    # A column without a name is the index that pandas writes.
    return {name: [row[index] for row in rows[1:]] for index, name in enumerate(header) if name}
