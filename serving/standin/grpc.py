"""TensorFlow Serving's gRPC interface over a :class:`ModelManager`.

The services of ``tensorflow_serving/apis/{prediction_service,model_service}.proto`` with their real
messages. Order of checks and wording follow ``predict_util.cc``, ``classification_service.cc``,
``regression_service.cc``, ``get_model_metadata_impl.cc``, ``get_model_status_impl.cc`` and
``server_core.cc``. Every reply, errors too, ends with the trailing metadata ``x-stand-in``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
import grpc.aio
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.standin import protos
from serving.standin.codec import DEFAULT_SIGNATURE
from serving.standin.manager import ModelManager
from serving.standin.servable import Servable
from serving.standin.status import ServingError, invalid_argument

METADATA = (("x-stand-in", "tensorflow-serving"),)

_PREDICTION = "tensorflow.serving.PredictionService"
_MODEL = "tensorflow.serving.ModelService"
_SIGNATURES = "signature_def"
#: Seconds requests in flight get when the server ends.
_GRACE_S = 5


class GrpcApi:
    """Answers requests; TensorFlow runs on ``worker``, which must have a single thread."""

    def __init__(self, manager: ModelManager, worker: ThreadPoolExecutor) -> None:
        self._manager = manager
        self._worker = worker

    def handlers(self) -> tuple[Any, ...]:
        """Both services, for ``add_generic_rpc_handlers``."""
        prediction = {
            "Predict": self._working(self._predict, predict_pb2.PredictRequest),
            "Classify": self._working(self._classify, classification_pb2.ClassificationRequest),
            "Regress": self._working(self._regress, regression_pb2.RegressionRequest),
            "GetModelMetadata": _answering(
                self._metadata, get_model_metadata_pb2.GetModelMetadataRequest
            ),
            "MultiInference": _answering(_unimplemented, inference_pb2.MultiInferenceRequest),
        }
        model = {
            "GetModelStatus": _answering(self._status, get_model_status_pb2.GetModelStatusRequest),
            "HandleReloadConfigRequest": _answering(
                _unimplemented, model_management_pb2.ReloadConfigRequest
            ),
        }
        return (
            grpc.method_handlers_generic_handler(_PREDICTION, prediction),
            grpc.method_handlers_generic_handler(_MODEL, model),
        )

    def _working(self, run: Callable[[Any], Any], kind: Any) -> Any:
        """A method that is run on the worker thread."""

        async def elsewhere(request: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(self._worker, run, request)

        return _answering(elsewhere, kind)

    def _predict(self, request: Any) -> Any:
        number, servable = self._find(request)
        signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
        definition = servable.signatures.get(signature)
        if definition is None:
            raise ServingError(
                "FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.'
            )
        inputs = protos.decode_inputs(definition, request.inputs)
        names = protos.output_names(definition, request.output_filter)
        reply = predict_pb2.PredictResponse()
        for name, tensor in servable.predict(signature, inputs, names).items():
            protos.fill(reply.outputs[name], tensor)
        _name_model(reply.model_spec, request, number, signature)
        return reply

    def _classify(self, request: Any) -> Any:
        number, servable = self._find(request)
        signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
        classes, scores = servable.classify(signature, protos.serialized_examples(request.input))
        reply = classification_pb2.ClassificationResponse()
        present = classes if classes is not None else scores
        assert present is not None
        for row in range(present.shape[0]):
            one = reply.result.classifications.add()
            for column in range(present.shape[1]):
                label = b"" if classes is None else classes[row, column]
                score = 0.0 if scores is None else float(scores[row, column])
                # A string field: what is not UTF-8 cannot be sent, by the original neither.
                one.classes.add(label=label.decode("utf-8", "replace"), score=score)
        _name_model(reply.model_spec, request, number, signature)
        return reply

    def _regress(self, request: Any) -> Any:
        number, servable = self._find(request)
        signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
        values = servable.regress(signature, protos.serialized_examples(request.input))
        reply = regression_pb2.RegressionResponse()
        for value in values.tolist():
            reply.result.regressions.add(value=value)
        _name_model(reply.model_spec, request, number, signature)
        return reply

    async def _metadata(self, request: Any) -> Any:
        _require_spec(request)
        if not request.metadata_field:
            raise invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != _SIGNATURES:
                # The original concatenates its format and the value.
                raise invalid_argument(f"Metadata field %s is not supported{field}")
        number, servable = self._find(request)
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in servable.signatures.items():
            signatures.signature_def[name].CopyFrom(definition)
        reply.metadata[_SIGNATURES].Pack(signatures)
        reply.model_spec.name = request.model_spec.name
        reply.model_spec.version.value = number
        return reply

    async def _status(self, request: Any) -> Any:
        _require_spec(request)
        reply = get_model_status_pb2.GetModelStatusResponse()
        states = get_model_status_pb2.ModelVersionStatus.State
        for known in self._manager.status(request.model_spec.name, *_version(request.model_spec)):
            one = reply.model_version_status.add(version=known.number)
            one.state = states.Value(known.state)
            one.status.error_code = error_codes_pb2.Code.Value(known.error_code)
            one.status.error_message = known.error_message
        return reply

    def _find(self, request: Any) -> tuple[int, Servable]:
        _require_spec(request)
        spec = request.model_spec
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        return self._manager.get(spec.name, *_version(spec))


def _answering(run: Callable[[Any], Any], kind: Any) -> Any:
    """A method: ``run`` makes the reply to a request of ``kind``, or raises ``ServingError``."""

    async def answer(request: Any, context: Any) -> Any:
        context.set_trailing_metadata(METADATA)
        try:
            return await run(request)
        except ServingError as error:
            await context.abort(grpc.StatusCode[error.code], error.message)

    return grpc.unary_unary_rpc_method_handler(
        answer, kind.FromString, lambda reply: reply.SerializeToString()
    )


async def _unimplemented(request: Any) -> NoReturn:
    name = type(request).__name__
    raise ServingError("UNIMPLEMENTED", f"The stand-in has no answer to a {name}")


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")


def _version(spec: Any) -> tuple[int | None, str | None]:
    """Number and label; number 0 is version 0, not the newest, as in the original."""
    choice = spec.WhichOneof("version_choice")
    number = spec.version.value if choice == "version" else None
    return number, spec.version_label if choice == "version_label" else None


def _name_model(spec: Any, request: Any, number: int, signature: str) -> None:
    spec.name = request.model_spec.name
    spec.version.value = number
    spec.signature_name = signature


async def serve(
    manager: ModelManager, worker: ThreadPoolExecutor, address: str, *, max_body: int
) -> AsyncIterator[None]:
    """Serve at ``address`` (host:port) between the two halves of a ``cleanup_ctx``.

    ``max_body`` limits request messages, in bytes.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", max_body),
            ("grpc.max_send_message_length", -1),
            # A taken port is an error, not something to be shared.
            ("grpc.so_reuseport", 0),
        ]
    )
    server.add_generic_rpc_handlers(GrpcApi(manager, worker).handlers())
    server.add_insecure_port(address)
    await server.start()
    yield
    await server.stop(_GRACE_S)
