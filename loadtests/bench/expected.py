"""The answers everybody must give: those of a plain ``session.run``."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.bench.opponents.opponent import Place
from loadtests.bench.payload import Row
from loadtests.bench.programs.session import Session


class Oracle:
    """Predictions of the model's graphs by file name; ``tolerance`` is its manifest's."""

    def __init__(self, place: Place, tolerance: float) -> None:
        self.tolerance = tolerance
        self._place = place
        self._sessions: dict[str, Session] = {}

    def predict(self, graph: str, rows: Sequence[Row]) -> list[float]:
        """One prediction per row."""
        if graph not in self._sessions:
            self._sessions[graph] = Session(str(self._place.graph(graph)))
        return self._sessions[graph].run_rows(rows)
