"""TensorFlow Serving over its REST API.

Protocol: https://www.tensorflow.org/tfx/serving/api_rest — ``POST
/v1/models/M/versions/V:predict`` in column form, ``{"outputs": …}`` back (the bare array for a
signature of one output, an object for several), ``{"error": …}`` when it refuses, bare NaN and
Infinity for non-finite numbers.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, Self

import msgspec
import numpy as np

from gateway.backends.base import Call, Health, Target, conform
from gateway.backends.http import HTTPBackend, Reply
from gateway.backends.tfserving_model import ServedModel
from gateway.config import Settings
from gateway.errors import BackendError, GatewayError
from gateway.models.rows import Array, Outputs, Rows


class TFServingBackend(HTTPBackend):
    """A TensorFlow Serving REST endpoint; one signature call answers a whole batch."""

    name = "tfserving"

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.tfserving_url, settings.max_connections, settings.connect_timeout_s)

    def __init__(self, url: str, max_connections: int = 100, connect_timeout: float = 1.0) -> None:
        super().__init__(url, max_connections, connect_timeout)
        self._loaded: dict[Target, ServedModel] = {}

    async def load(self, target: Target) -> None:
        self._loaded[target] = await asyncio.to_thread(ServedModel.load, target)

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        served = self._loaded[target]
        body = _body(served, rows)
        reply = await self.request("POST", f"{_path(served)}:predict", call, body)
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
        return conform(target, arrays, rows.count, served.options.outputs)

    async def check(self, target: Target, call: Call) -> Health:
        try:
            reply = await self.request("GET", _path(self._loaded[target]), call)
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


def _path(served: ServedModel) -> str:
    suffix = "" if served.version is None else f"/versions/{served.version}"
    return f"/v1/models/{served.options.model}{suffix}"


def _body(served: ServedModel, rows: Rows) -> bytes:
    """The request in its column form; with bare NaN and Infinity, as the server reads them."""
    inputs = served.inputs(rows)
    plain: Any
    if isinstance(inputs, dict):
        arrays = list(inputs.values())
        plain = {name: column.tolist() for name, column in inputs.items()}
    else:
        arrays = [inputs]
        plain = inputs.tolist()
    body = {"signature_name": served.options.signature, "inputs": plain}
    if all(array.dtype.kind != "f" or np.isfinite(array).all() for array in arrays):
        return msgspec.json.encode(body)
    return json.dumps(body).encode()


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
