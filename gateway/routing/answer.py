"""What a backend answered: one batch of outputs, shared by the requests that were in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.backends.base import Target
from gateway.errors import BackendError
from gateway.models.labels import Labels
from gateway.models.rows import Array, Outputs


class Results:
    """The outputs of one call to a backend. Conversions are made once for all its requests."""

    __slots__ = ("_objects", "_unfit", "backend_s", "outputs", "rows", "target")

    def __init__(self, outputs: Outputs, target: Target, rows: int, backend_s: float) -> None:
        self.outputs = outputs
        #: Who has answered.
        self.target = target
        #: Rows that went in one call together.
        self.rows = rows
        #: Seconds the backend took for them.
        self.backend_s = backend_s
        self._objects: list[dict[str, Any]] | None = None
        self._unfit: dict[str, Array] | None = None

    @property
    def objects(self) -> list[dict[str, Any]]:
        """One object of outputs per row, of plain Python values."""
        if self._objects is None:
            names = list(self.outputs)
            columns = [array.tolist() for array in self.outputs.values()]
            if len(names) == 1:
                (name,) = names
                objects = [{name: value} for value in columns[0]]
            else:
                rows = zip(*columns, strict=True)
                objects = [dict(zip(names, row, strict=True)) for row in rows]
            labels = self.target.model.labels
            if labels is not None:
                self._label(labels, objects)
            # Not before: where the labels do not fit, every request of the batch is to hear of it.
            self._objects = objects
        return self._objects

    def _label(self, labels: Labels, objects: list[dict[str, Any]]) -> None:
        try:
            columns = labels.columns(self.outputs)
        except ValueError as error:
            raise BackendError(self.target.backend, str(error)) from error
        for key, column in columns.items():
            for row, label in zip(objects, column, strict=True):
                row[key] = label

    @property
    def unfit(self) -> dict[str, Array]:
        """Per output that holds numbers that are not finite: which rows do, a bool each."""
        if self._unfit is None:
            self._unfit = {}
            for name, array in self.outputs.items():
                if array.dtype.kind != "f":
                    continue
                finite = np.isfinite(array)
                if np.count_nonzero(finite) < finite.size:  # .all() takes three times as long
                    rows = finite.reshape(len(array), -1).all(axis=1)
                    self._unfit[name] = np.logical_not(rows)
        return self._unfit


class Answer:
    """One request's part of the results: rows ``start`` to ``stop``.

    ``queue_s`` is how many seconds the request waited for the backend to be free.
    """

    __slots__ = ("queue_s", "results", "start", "stop")

    def __init__(self, results: Results, start: int, stop: int, queue_s: float) -> None:
        self.results = results
        self.start = start
        self.stop = stop
        self.queue_s = queue_s

    @property
    def outputs(self) -> Outputs:
        """The named arrays of this request's rows."""
        return {name: a[self.start : self.stop] for name, a in self.results.outputs.items()}

    @property
    def objects(self) -> list[dict[str, Any]]:
        """One object of outputs per row, of plain Python values."""
        return self.results.objects[self.start : self.stop]

    @property
    def unfit(self) -> list[str]:
        """The outputs in which a number of this request's rows is not finite."""
        unfit = self.results.unfit
        return [name for name, rows in unfit.items() if rows[self.start : self.stop].any()]
