"""LitServe with batching; see ``programs/litserve_app.py``.

Of its settings the fastest found here: ``fast_queue`` and a batch timeout of 1 ms (1,040 requests/s
at 64 connections; 650 with its default of 0, 360 with 10 ms).
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.bench.endpoint import Endpoint, answer_object, one_object
from loadtests.bench.opponents.opponent import ONNXRUNTIME, PROGRAMS, Opponent, Place
from serving.layout import PYTORCH


class LitServe(Opponent):
    """Its HTTP process and its inference process share the servers' core."""

    name = "litserve"
    requirements = ("litserve==0.2.19", ONNXRUNTIME)
    ready_path = "/health"
    graph = PYTORCH

    def arguments(self) -> Sequence[str]:
        return [str(self.python), str(PROGRAMS / "litserve_app.py"), str(self.port)]


def endpoint(place: Place) -> Endpoint:
    """One object of features per request."""
    return Endpoint("LitServe", LitServe(place), "/predict", one_object, answer_object)
