"""BentoML with adaptive batching; see ``programs/bentoml_service.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.bench.endpoint import Endpoint
from loadtests.bench.opponents.opponent import ONNXRUNTIME, Opponent, Place
from loadtests.bench.payload import Row
from serving.layout import PYTORCH


class BentoML(Opponent):
    """Its supervisor and its one worker share the servers' core."""

    name = "bentoml"
    requirements = ("bentoml==1.4.39", ONNXRUNTIME)
    ready_path = "/readyz"
    graph = PYTORCH

    def arguments(self) -> Sequence[str]:
        options = ["--host=127.0.0.1", f"--port={self.port}"]
        service = "bentoml_service:WeightChange"
        return [str(self.python), "-m", "bentoml", "serve", service, *options]

    def variables(self) -> Mapping[str, str]:
        return {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(self.run_dir / "home")}


def endpoint(place: Place) -> Endpoint:
    """A batchable API takes and answers a list."""
    note = "A batchable API takes a list: the body is {rows: [row]}."
    return Endpoint("BentoML", BentoML(place), "/predict", _rows, list, note=note)


def _rows(rows: Sequence[Row]) -> Any:
    return {"rows": list(rows)}
