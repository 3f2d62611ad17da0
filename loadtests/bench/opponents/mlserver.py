"""MLServer with a custom runtime; see ``programs/mlserver_runtime.py``.

Of its settings the fastest found here: no adaptive batching (1,640 requests/s at 64 connections;
1,450 with ``max_batch_time`` 1 ms, 1,300 with 10 ms) and no parallel workers, which on one core
only cost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from loadtests.bench.endpoint import Endpoint, answer_tensor, tensors
from loadtests.bench.opponents.opponent import ONNXRUNTIME, Opponent, Place
from serving.launch.ports import free_ports
from serving.layout import PYTORCH

_MODEL = "weight-change"


class MLServer(Opponent):
    """Serves one folder with its settings; its gRPC and metrics ports cannot be switched off."""

    name = "mlserver"
    requirements = ("mlserver==1.7.1", ONNXRUNTIME)
    ready_path = f"/v2/models/{_MODEL}/ready"
    graph = PYTORCH

    def arguments(self) -> Sequence[str]:
        grpc_port, metrics_port = free_ports(2)
        settings = {
            "host": "127.0.0.1",
            "http_port": self.port,
            "grpc_port": grpc_port,
            "metrics_port": metrics_port,
            "debug": False,
            "parallel_workers": 0,
        }
        model = {"name": _MODEL, "implementation": "mlserver_runtime.WeightChange"}
        for name, content in {"settings": settings, "model-settings": model}.items():
            (self.run_dir / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        return [str(self.python.with_name("mlserver")), "start", "."]


def endpoint(place: Place) -> Endpoint:
    """Open Inference Protocol V2 knows tensors, not objects."""
    note = "Open Inference Protocol V2: an input tensor of shape [1, 1] per feature."
    path = f"/v2/models/{_MODEL}/infer"
    return Endpoint("MLServer", MLServer(place), path, tensors, answer_tensor, note=note)
