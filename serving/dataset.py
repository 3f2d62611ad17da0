"""Rows with a known answer: feature columns and one target, for training and for judging."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.models.manifest import Manifest
from gateway.models.rows import Array, Rows

Floats = npt.NDArray[np.float64]
Column = npt.NDArray[np.float64] | npt.NDArray[np.object_]


@dataclass(frozen=True)
class Dataset:
    """Feature columns and the target of some rows.

    ``columns[name]`` has shape (n,): float64 for numbers, object (of ``str``) for strings, in the
    manifest's order. ``target`` is float64 of shape (n,), in the unit of the output called
    ``target_name``.
    """

    columns: Mapping[str, Column]
    target: Floats
    target_name: str

    def __len__(self) -> int:
        return len(self.target)

    def numbers(self, name: str) -> Floats:
        """The column of a number, float64 (n,)."""
        return self.columns[name].astype(np.float64)

    def matrix(self) -> npt.NDArray[np.object_]:
        """The features as scikit-learn takes them: object (n, features), columns in order."""
        return np.column_stack([column.astype(object) for column in self.columns.values()])

    def rows(self, manifest: Manifest) -> Rows:
        """The features as the gateway takes them, typed by the manifest."""
        columns: dict[str, Array] = {}
        for feature in manifest.features:
            column: Array = self.columns[feature.name]
            columns[feature.name] = column.astype(np.int64) if feature.type == "integer" else column
        return Rows(columns, len(self))

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value of every number."""
        return {
            name: (float(column.min()), float(column.max()))
            for name, column in self.columns.items()
            if column.dtype != object
        }

    def csv_text(self) -> str:
        """The rows as CSV: a header, one line per row, numbers in full precision, LF."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*self.columns, self.target_name])
        values = [column.tolist() for column in (*self.columns.values(), self.target)]
        writer.writerows(zip(*values, strict=True))
        return text.getvalue()

    def sha256(self) -> str:
        """Hash of :meth:`csv_text`: the same rows give the same hash on every machine."""
        return hashlib.sha256(self.csv_text().encode()).hexdigest()
