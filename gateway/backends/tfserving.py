"""TensorFlow Serving over its REST API.

Protocol: https://www.tensorflow.org/tfx/serving/api_rest — ``POST
/v1/models/M/versions/V:predict`` in column form, ``{"outputs": …}`` back (the bare array for a
signature of one output, an object for several), ``{"error": …}`` when it refuses, bare NaN and
Infinity for non-finite numbers.
"""

from __future__ import annotations

import base64
from typing import Any, Self

import msgspec
import numpy as np

from gateway.backends.base import Call, Health, Target, conform
from gateway.backends.http import HTTPBackend, Reply
from gateway.config import Settings
from gateway.errors import BackendError, GatewayError, ModelError
from gateway.models.graph import Graph
from gateway.models.rows import Array, Outputs, Rows


class TFServingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the server has the model.

    ``preprocess`` is the graph that turns raw features into the tensor ``input`` of the
    signature; without it each feature is sent as the input of its name. ``outputs``
    renames the signature's outputs. ``version`` "latest" leaves the choice of version to the
    server; "same" (the default) asks for the number of the gateway's own version folder, so that
    the two can never differ unnoticed.
    """

    model: str
    signature: str = "serving_default"
    input: str | None = None
    preprocess: str | None = None
    outputs: dict[str, str] = {}
    version: str = "same"


class TFServingBackend(HTTPBackend):
    """A TensorFlow Serving REST endpoint; one signature call answers a whole batch."""

    name = "tfserving"

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.tfserving_url, settings.max_connections, settings.connect_timeout_s)

    def __init__(self, url: str, max_connections: int = 100, connect_timeout: float = 1.0) -> None:
        super().__init__(url, max_connections, connect_timeout)
        self._loaded: dict[Target, tuple[TFServingOptions, Graph | None]] = {}

    async def load(self, target: Target) -> None:
        options = target.parse(TFServingOptions)
        graph = None
        if options.preprocess is not None:
            graph = Graph(target.model.artifact(options.preprocess), threads=1)
            graph.check_inputs({feature.name for feature in target.model.manifest.features})
            if len(graph.outputs) != 1:
                raise ModelError(f"{options.preprocess}: it must have one output")
        self._loaded[target] = options, graph

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        options, graph = self._loaded[target]
        body = {"signature_name": options.signature, "inputs": _inputs(rows, options, graph)}
        path = f"{_path(options, target)}:predict"
        reply = await self.request("POST", path, call, body)
        content = _content(self, reply)
        if "outputs" not in content:
            raise BackendError(self.name, "its reply holds no outputs")
        outputs = content["outputs"]
        try:
            if isinstance(outputs, dict):
                arrays = {name: _array(values) for name, values in outputs.items()}
            else:  # the only output of a signature drops its name
                arrays = {"": _array(outputs)}
        except (KeyError, TypeError, ValueError) as error:
            raise BackendError(self.name, f"its outputs cannot be read: {error}") from error
        return conform(target, arrays, rows.count, options.outputs)

    async def check(self, target: Target, call: Call) -> Health:
        options, _ = self._loaded[target]
        try:
            reply = await self.request("GET", _path(options, target), call)
        except GatewayError as error:
            return Health(False, error.detail)
        try:
            status = _content(self, reply)["model_version_status"]
            state = status[0]["state"]
        except BackendError as error:
            return Health(False, error.detail, reply.stand_in)
        except (KeyError, IndexError, TypeError):
            return Health(False, "its reply holds no model_version_status", reply.stand_in)
        detail = "" if state == "AVAILABLE" else f"state {state}"
        return Health(not detail, detail, reply.stand_in)

    async def unload(self, target: Target) -> None:
        self._loaded.pop(target, None)


def _path(options: TFServingOptions, target: Target) -> str:
    version = target.model.version if options.version == "same" else options.version
    suffix = "" if version == "latest" else f"/versions/{version}"
    return f"/v1/models/{options.model}{suffix}"


def _inputs(rows: Rows, options: TFServingOptions, graph: Graph | None) -> Any:
    """The column form: the bare tensor where the signature's only input needs no name."""
    if graph is None:
        return {name: column.tolist() for name, column in rows.columns.items()}
    (tensor,) = graph.run(rows).values()
    return tensor.tolist() if options.input is None else {options.input: tensor.tolist()}


def _content(backend: HTTPBackend, reply: Reply) -> dict[str, Any]:
    """The JSON object of a good reply; raises the error a bad one stands for."""
    try:
        content = reply.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        content = {}
    if reply.status != 200 or "error" in content:
        raise backend.refusal(reply, content.get("error"))
    return content


def _array(values: Any) -> Array:
    """One output's rows; bytes, which come as ``{"b64": …}`` objects, become text."""
    return np.array([_plain(value) for value in values])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"]).decode("utf-8", "backslashreplace")
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        return [_plain(item) for item in value]
    return value
