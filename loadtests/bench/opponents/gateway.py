"""The gateway with its default settings: one process, no access log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.endpoint import Endpoint, answer_predictions, instances
from loadtests.bench.opponents.opponent import Place
from serving.launch import Gateway, Server
from serving.layout import PYTORCH, TENSORFLOW

_GRAPHS = {"onnx": PYTORCH, "torchserve": PYTORCH, "tfserving": TENSORFLOW}


def server(place: Place, servers: Sequence[Server] = (), repository: Path | None = None) -> Gateway:
    """``python -m gateway serve`` on a free port in front of ``servers``."""
    run_dir = place.run_dir / "-".join(["gateway", *(behind.name for behind in servers)])
    return Gateway(run_dir, (repository or place.repository).resolve(), servers, port=0)


def endpoint(place: Place, backend: str = "onnx", servers: Sequence[Server] = ()) -> Endpoint:
    """The descriptive payload, answered by ``backend``."""
    return Endpoint(
        f"gateway, backend={backend}",
        server(place, servers),
        f"/v1/predict?backend={backend}",
        instances,
        answer_predictions,
        _GRAPHS[backend],
        tuple(servers),
    )
