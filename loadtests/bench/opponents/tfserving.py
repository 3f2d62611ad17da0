"""The TensorFlow server called directly: ``tensorflow_model_server`` on PATH, else the stand-in.

A container is left out: its processes are the Docker daemon's children and would not inherit the
servers' core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.models.graph import Graph
from gateway.models.manifest import Manifest
from gateway.models.validator import Validator
from loadtests.bench.endpoint import Endpoint
from loadtests.bench.opponents.opponent import Place
from loadtests.bench.payload import Row
from serving.launch import TFServing
from serving.launch.tfserving import Engine, choose_engine
from serving.layout import PREPROCESS, TENSOR, TENSORFLOW


def server(place: Place) -> TFServing:
    """The server on free ports."""
    engine: Engine = "binary" if choose_engine() == "binary" else "stand-in"
    return TFServing(place.run_dir / "tfserving", place.repository, 0, engine, grpc_port=0)


def endpoint(tfserving: TFServing, place: Place) -> Endpoint:
    """Called directly it takes the preprocessed tensor only, so the client preprocesses for it."""
    validator = Validator(Manifest.load(place.repository / "weight-change"))
    preprocess = Graph(place.graph(PREPROCESS), threads=1)

    def encode(rows: Sequence[Row]) -> Any:
        tensor = preprocess.run(validator.convert(list(rows)))[TENSOR]
        return {"instances": tensor.tolist()}

    return Endpoint(
        "TensorFlow Serving",
        tfserving,
        "/v1/models/weight-change:predict",
        encode,
        _predictions,
        TENSORFLOW,
        note="The body holds preprocessed tensors of 17 numbers: preprocessing is left out.",
    )


def _predictions(content: Any) -> list[float]:
    return [value for row in content["predictions"] for value in row]
