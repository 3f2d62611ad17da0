"""Small servers of the adapters' protocols around a plain function, for the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.backends.tensor_proto import fill, to_array
from gateway.backends.tfserving_apis import load_apis
from tests.gateway.backends.contract import Function, Refusal

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: DT_FLOAT, DT_INT64, DT_STRING, DT_BOOL of TensorFlow's types.proto, by input.
_TYPES = {"count": 9, "size": 1, "big": 10, "name": 7}


@asynccontextmanager
async def http_server(reply: Reply) -> AsyncIterator[str]:
    """A server that answers every request by one function; gives its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", reply)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


def lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def tfserving_rest(function: Function) -> Reply:
    async def reply(request: web.Request) -> web.Response:
        if request.path == "/v1/models/mixed/versions/1":
            return web.json_response({"model_version_status": [{"state": "AVAILABLE"}]})
        assert request.path == "/v1/models/mixed/versions/1:predict"
        columns = (await request.json())["inputs"]
        try:
            answers = await function(rows_of(columns), lower(request.headers))
        except Refusal as refusal:
            return web.json_response({"error": str(refusal)}, status=400)
        return web.json_response({"outputs": columns_of(answers)})

    return reply


def torchserve(function: Function) -> Reply:
    async def reply(request: web.Request) -> web.Response:
        if request.path == "/models/mixed/1":
            return web.json_response([{"workers": [{"status": "READY"}]}])
        assert request.path == "/predictions/mixed/1"
        try:
            return web.json_response(await function(await request.json(), lower(request.headers)))
        except Refusal as refusal:
            words = {"code": 400, "type": "BadRequest", "message": str(refusal)}
            return web.json_response(words, status=400)

    return reply


@asynccontextmanager
async def tfserving_grpc(function: Function) -> AsyncIterator[str]:
    """A gRPC server of TensorFlow Serving's protocol; gives its URL."""
    load_apis()  # or the import would take all of TensorFlow along
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

    async def predict(request: Any, context: Any) -> Any:
        inputs = {name: to_array(tensor).tolist() for name, tensor in request.inputs.items()}
        try:
            answers = await function(rows_of(inputs), dict(context.invocation_metadata()))
        except Refusal as refusal:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refusal))
        reply = predict_pb2.PredictResponse()
        for name, values in columns_of(answers).items():
            kind = object if any(isinstance(value, str) for value in values) else np.float32
            fill(reply.outputs[name], np.array(values, kind))
        return reply

    async def metadata(request: Any, context: Any) -> Any:
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, number in _TYPES.items():
            signatures.signature_def["serving_default"].inputs[name].dtype = number
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        reply.metadata["signature_def"].Pack(signatures)
        return reply

    async def status(request: Any, context: Any) -> Any:
        reply = get_model_status_pb2.GetModelStatusResponse()
        reply.model_version_status.add(version=1, state=30)
        return reply

    methods = {
        "PredictionService/Predict": (predict, predict_pb2.PredictRequest),
        "PredictionService/GetModelMetadata": (
            metadata,
            get_model_metadata_pb2.GetModelMetadataRequest,
        ),
        "ModelService/GetModelStatus": (status, get_model_status_pb2.GetModelStatusRequest),
    }
    server = grpc.aio.server()
    for path, (answer, message) in methods.items():
        service, method = path.split("/")
        handler = grpc.unary_unary_rpc_method_handler(
            answer, message.FromString, lambda reply: reply.SerializeToString()
        )
        generic = grpc.method_handlers_generic_handler(
            f"tensorflow.serving.{service}", {method: handler}
        )
        server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        await server.stop(0)


def rows_of(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = list(rows[0]) if rows else ["total", "named"]
    return {name: [row[name] for row in rows] for name in names}
