"""TensorFlow Serving over gRPC.

Protocol: ``tensorflow_serving/apis/prediction_service.proto`` and ``model_service.proto``.
Numbers travel as their bytes (``TensorProto.tensor_content``), which costs neither side a parse.
gRPC takes tensors only in the signature's own types and only under its inputs' names, so both are
asked of the server once per model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from yarl import URL

from gateway.backends.base import Backend, Call, Health, Target, conform
from gateway.backends.tensor_proto import as_type, fill, to_array
from gateway.backends.tfserving_apis import load_apis
from gateway.backends.tfserving_model import ServedModel
from gateway.config import Settings, mask
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    shorten,
)
from gateway.models.rows import Array, Outputs, Rows

#: TensorFlow Serving's own port for gRPC.
_DEFAULT_PORT = 8500
#: A server that only stands in for the real one says so in the metadata of every reply.
_STAND_IN_KEY = "x-stand-in"
_MAX_DETAIL_CHARS = 500
_MAX_MESSAGE_BYTES = 256 * 2**20
#: Everything else is a :class:`BackendError`.
_ERRORS: dict[str, type[BackendError]] = {
    "UNAVAILABLE": BackendUnavailable,
    "RESOURCE_EXHAUSTED": BackendUnavailable,
    "DEADLINE_EXCEEDED": BackendTimeout,
}


@dataclass(frozen=True)
class _Connection:
    """A channel and the stubs that speak through it."""

    channel: Any
    predictions: Any
    models: Any


class TFServingGrpcBackend(Backend):
    """TensorFlow Serving's gRPC endpoint; one call of a signature answers a whole batch.

    One channel serves all models. ``connect_timeout`` (seconds) bounds the time to a connection
    within a call's deadline. Raises :class:`ConfigError` where ``url`` is not like
    ``grpc://host:8500`` or the packages it takes are not installed.
    """

    name = "tfserving"

    def __init__(self, url: str, connect_timeout: float = 1.0) -> None:
        parsed = URL(url)
        if parsed.scheme != "grpc" or not parsed.host or parsed.path not in ("", "/"):
            raise ConfigError(
                f"{self.name}: {shorten(mask(url))!r} is not a URL like grpc://host:port"
            )
        host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
        self._address = f"{host}:{parsed.port or _DEFAULT_PORT}"
        self.url = f"grpc://{self._address}"
        self._connect_timeout = connect_timeout
        self._apis = load_apis()
        self._loaded: dict[Target, ServedModel] = {}
        #: Name and type number of each input of a target's signature, as the server last told.
        self._inputs: dict[Target, dict[str, int]] = {}
        self._open: _Connection | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.tfserving_url, settings.connect_timeout_s)

    async def load(self, target: Target) -> None:
        self._loaded[target] = await asyncio.to_thread(ServedModel.load, target)

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        served = self._loaded[target]
        request = self._apis.PredictRequest()
        _name_model(request.model_spec, served)
        request.model_spec.signature_name = served.options.signature
        try:
            types = self._inputs.get(target) or await self._ask_inputs(target, call)
            inputs = self._named(served.inputs(rows), types)
            for name in types.keys() & inputs.keys():
                fill(request.inputs[name], as_type(inputs[name], types[name]))
            reply = await self._ask(self._connection().predictions.Predict, request, call)
        except BackendError:
            # Perhaps the server has another model by now: the next call looks again.
            self._inputs.pop(target, None)
            raise
        try:
            arrays = {name: to_array(tensor) for name, tensor in reply.outputs.items()}
        except ValueError as error:
            raise BackendError(self.name, f"its outputs cannot be read: {error}") from error
        return conform(target, arrays, rows.count, served.options.outputs)

    async def check(self, target: Target, call: Call) -> Health:
        request = self._apis.GetModelStatusRequest()
        _name_model(request.model_spec, self._loaded[target])
        running = self._start(self._connection().models.GetModelStatus, request, call)
        try:
            reply = await running
        except self._apis.grpc.aio.AioRpcError as error:
            return Health(False, self._refusal(error).detail, _stand_in(error.trailing_metadata()))
        stand_in = _stand_in(await running.trailing_metadata())
        if not reply.model_version_status:
            return Health(False, "its reply holds no model_version_status", stand_in)
        state = self._apis.ModelVersionStatus.State.Name(reply.model_version_status[0].state)
        detail = "" if state == "AVAILABLE" else f"state {state}"
        return Health(not detail, detail, stand_in)

    async def unload(self, target: Target) -> None:
        self._loaded.pop(target, None)
        self._inputs.pop(target, None)

    async def close(self) -> None:
        if self._open is not None:
            await self._open.channel.close()
            self._open = None

    async def _ask_inputs(self, target: Target, call: Call) -> dict[str, int]:
        """The signature's inputs by name, each with the number of its type."""
        served = self._loaded[target]
        request = self._apis.GetModelMetadataRequest(metadata_field=["signature_def"])
        _name_model(request.model_spec, served)
        reply = await self._ask(self._connection().predictions.GetModelMetadata, request, call)
        signatures = self._apis.SignatureDefMap()
        reply.metadata["signature_def"].Unpack(signatures)
        known = signatures.signature_def
        if served.options.signature not in known:
            there = ", ".join(sorted(known)) or "none"
            raise BackendError(
                self.name, f"no signature {served.options.signature!r}; there is: {there}"
            )
        inputs = known[served.options.signature].inputs
        self._inputs[target] = {name: info.dtype for name, info in inputs.items()}
        return self._inputs[target]

    async def _ask(self, method: Any, request: Any, call: Call) -> Any:
        try:
            return await self._start(method, request, call)
        except self._apis.grpc.aio.AioRpcError as error:
            raise self._refusal(error) from error

    def _start(self, method: Any, request: Any, call: Call) -> Any:
        # A deadline that has passed is a negative timeout: nothing is sent then.
        return method(request, timeout=call.remaining, metadata=_metadata(call))

    def _refusal(self, error: Any) -> BackendError:
        """The error a status stands for, with the server's own words."""
        code = error.code().name
        words = shorten(error.details() or "no details", _MAX_DETAIL_CHARS)
        return _ERRORS.get(code, BackendError)(self.name, f"{code}: {words}")

    def _named(
        self, inputs: Array | dict[str, Array], types: Mapping[str, int]
    ) -> dict[str, Array]:
        """Inputs by name; a tensor that came without one is the signature's only input."""
        if isinstance(inputs, dict):
            return inputs
        if len(types) != 1:
            raise BackendError(
                self.name,
                f"its signature takes several inputs, {', '.join(sorted(types))}, and the manifest"
                " does not say which one is meant",
            )
        return dict.fromkeys(types, inputs)

    def _connection(self) -> _Connection:
        """The channel, made at first use because it belongs to the running event loop."""
        if self._open is None:
            apis = self._apis
            connect_ms = round(self._connect_timeout * 1000)
            channel = apis.grpc.aio.insecure_channel(
                self._address,
                [
                    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
                    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                    # As for HTTP, the environment does not decide which way requests go.
                    ("grpc.enable_http_proxy", 0),
                    # A server that vanished without a word is noticed while a call waits for it.
                    ("grpc.keepalive_time_ms", 30_000),
                    ("grpc.keepalive_timeout_ms", 5_000),
                    # The least time a connection attempt gets. After a failed one calls are
                    # refused at once until the next attempt: by default up to two minutes.
                    ("grpc.min_reconnect_backoff_ms", connect_ms),
                    ("grpc.initial_reconnect_backoff_ms", 100),
                    ("grpc.max_reconnect_backoff_ms", 500),
                ],
            )
            self._open = _Connection(
                channel, apis.PredictionServiceStub(channel), apis.ModelServiceStub(channel)
            )
        return self._open


def _name_model(spec: Any, served: ServedModel) -> None:
    spec.name = served.options.model
    if served.version is not None:
        spec.version.value = served.version


def _metadata(call: Call) -> list[tuple[str, str]]:
    """The call's headers as gRPC has them: names in lower case, values of printable ASCII."""
    return [
        (name.lower(), value)
        for name, value in call.headers.items()
        if value.isascii() and value.isprintable()
    ]


def _stand_in(metadata: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    value = dict(metadata or ()).get(_STAND_IN_KEY)
    return value if isinstance(value, str) else None
