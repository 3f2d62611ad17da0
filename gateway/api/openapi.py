"""``GET /openapi.json``: the doors as an OpenAPI 3.1 document, made from manifests and settings.

Format: https://spec.openapis.org/oas/v3.1.0; its schemas are JSON Schema 2020-12.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from aiohttp import web

from gateway import __version__
from gateway.api import health, models, predict, routing
from gateway.api.envelope import ID_HEADER
from gateway.api.openapi_answers import (
    HEADERS,
    Alive,
    Backends,
    Model,
    Models,
    NotReady,
    Ready,
    Routing,
    Shadows,
    problem,
    problems,
    reference,
    response,
    schemas,
)
from gateway.api.openapi_management import KEY_ERRORS, edits, secure
from gateway.api.openapi_schemas import Schema, body, prediction, row
from gateway.api.state import ROUTER
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BodyTooLarge,
    GatewayError,
    InvalidInput,
    InvalidRequest,
    NotFound,
    UnsupportedMediaType,
)
from gateway.metrics import METRICS_CONTENT_TYPE
from gateway.models.manifest import Manifest
from gateway.models.repository import ModelVersion
from gateway.routing.policy import AUTO
from gateway.routing.router import Router

PATH = "/openapi.json"

#: What each door may raise, beside what a bug would be.
_PREDICT_ERRORS = (
    InvalidRequest,
    NotFound,
    BodyTooLarge,
    UnsupportedMediaType,
    InvalidInput,
    BackendError,
    BackendUnavailable,
    BackendTimeout,
)
_ERRORS = (*_PREDICT_ERRORS, *KEY_ERRORS, GatewayError)
#: Examples that are longer as JSON are left out, like those of images.
_MAX_EXAMPLE_BYTES = 10_000

#: The document as JSON, and what was served when it was made.
_encoded: WeakKeyDictionary[Router, tuple[list[ModelVersion], bytes]] = WeakKeyDictionary()


async def openapi(request: web.Request) -> web.Response:
    """This document."""
    router = request.app[ROUTER]
    entries = list(router.repository)
    if router not in _encoded or _encoded[router][0] != entries:
        _encoded[router] = entries, msgspec.json.encode(document(router))
    return web.Response(body=_encoded[router][1], content_type=predict.CONTENT_TYPE)


def document(router: Router) -> dict[str, Any]:
    """The OpenAPI document of a gateway, of plain JSON values.

    It names the models, versions, backends and lineages that are there at this moment.
    """
    payloads, examples = {}, {}
    keys = []
    for key, manifest, versions in _described(router):
        one = {"$ref": f"#/components/schemas/{key}.Row"}
        payloads[f"{key}.Row"] = row(manifest)
        payloads[f"{key}.Input"] = body(manifest.name, one, router.settings.max_instances)
        payloads[f"{key}.Prediction"] = prediction(manifest, versions)
        keys.append(key)
        if len(msgspec.json.encode(manifest.example)) <= _MAX_EXAMPLE_BYTES:
            examples[key] = {"value": manifest.example}
    models_there = list(router.repository.models)
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "Model serving gateway",
            "version": __version__,
            "description": "Predictions by every model and backend, with one payload for all.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            predict.PATH: {"post": _predict(router, keys, examples)},
            "/v1/models": _get(models.models, _json(reference(Models)), InvalidRequest),
            "/v1/models/{name}": _get(
                models.model,
                _json(reference(Model)),
                *(InvalidRequest, NotFound),
                parameters=[
                    _parameter("name", "path", "The model.", models_there),
                    _version(router),
                ],
            ),
            "/v1/backends": _get(health.backends, _json(reference(Backends))),
            "/healthz": _get(health.healthz, _json(reference(Alive))),
            "/readyz": _get(
                health.readyz,
                _json(reference(Ready)),
                others={"503": response("Not ready.", _json(reference(NotReady)))},
            ),
            "/metrics": _get(
                health.metrics,
                {METRICS_CONTENT_TYPE.partition(";")[0]: {"schema": {"type": "string"}}},
            ),
            "/v1/routing": _get(routing.show, _json(reference(Routing)), InvalidRequest),
            "/v1/shadow": _get(routing.shadow, _json(reference(Shadows)), InvalidRequest),
            **edits([_parameter("model", "path", "The model.", models_there), _ID_REFERENCE]),
            PATH: _get(openapi, _json({"type": "object", "required": ["openapi", "paths"]})),
        },
        "components": {
            "schemas": schemas() | payloads,
            "responses": {kind.__name__: problem(kind) for kind in _ERRORS},
            "parameters": {ID_HEADER: _ID_PARAMETER},
            "headers": HEADERS,
        },
    }
    return secure(described, router.settings)


_TEXT: Schema = {"type": "string"}
_ID_REFERENCE = {"$ref": f"#/components/parameters/{ID_HEADER}"}
_ID_PARAMETER: dict[str, Any] = {
    "name": ID_HEADER,
    "in": "header",
    "description": "Taken over where it is 1 to 128 printable ASCII characters without spaces; "
    "otherwise the request gets a new one.",
    "schema": _TEXT,
}


def _described(router: Router) -> list[tuple[str, Manifest, list[str]]]:
    """Each manifest there is, with a name for it and the versions that share it."""
    found: list[tuple[str, Manifest, list[str]]] = []
    for entry in router.repository:
        for _, known, versions in found:
            if known == entry.manifest:
                versions.append(entry.version)
                break
        else:
            found.append((f"{entry.name}.{entry.version}", entry.manifest, [entry.version]))
    return found


def _predict(router: Router, keys: list[str], examples: dict[str, Any]) -> dict[str, Any]:
    timing = {
        "description": "What took how many milliseconds, and how many rows went together.",
        "schema": _TEXT,
    }
    return {
        "operationId": predict.predict.__name__,
        "description": "Predict one row, or many at once.",
        "parameters": _predict_parameters(router),
        "requestBody": {
            "required": True,
            "description": f"At most {router.settings.max_body_bytes} bytes.",
            "content": {
                predict.CONTENT_TYPE: {"schema": _any(keys, "Input"), "examples": examples}
            },
        },
        "responses": {
            "200": response(
                "One object of outputs per row, in order.",
                _json(_any(keys, "Prediction")),
                {"Server-Timing": timing},
            ),
            **problems(*_PREDICT_ERRORS),
        },
    }


def _predict_parameters(router: Router) -> list[dict[str, Any]]:
    specs = [entry.manifest.backends for entry in router.repository]
    backends = {name for spec in specs for name in spec}
    lineages = [name for spec in specs for entry in spec.values() for name in entry.lineages]
    names = list(router.repository.models)
    choice = f"What answers; without it, or with {AUTO}, the gateway chooses."
    known = [AUTO, *(name for name in router.backends if name in backends)]
    model = _parameter("model", "query", "The model; needed where there are several.", names)
    trained = "The framework that trained it; else the backend's first."
    return [
        _parameter("backend", "query", choice, known),
        model | {"required": len(names) > 1},
        _version(router),
        _parameter("lineage", "query", trained, lineages),
        {"$ref": f"#/components/parameters/{ID_HEADER}"},
        {
            "name": predict.TIMEOUT_HEADER,
            "in": "header",
            "description": "Milliseconds the answer may take at most; "
            f"{router.settings.request_timeout_s * 1000:g} where it says more or is not there.",
            "schema": {"type": "number", "minimum": 1},
        },
    ]


def _version(router: Router) -> dict[str, Any]:
    versions = [entry.version for entry in router.repository]
    return _parameter("version", "query", "The model's version; else the newest.", versions)


def _parameter(name: str, place: str, about: str, values: Iterable[str]) -> dict[str, Any]:
    schema = _TEXT | {"enum": list(dict.fromkeys(values))}
    return {
        "name": name,
        "in": place,
        "description": about,
        "required": place == "path",
        "schema": schema,
    }


def _get(
    door: Callable[..., Any],
    content: dict[str, Any],
    *errors: type[GatewayError],
    parameters: Iterable[dict[str, Any]] = (),
    others: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A path item whose GET is described by its door."""
    good = {"200": response("As asked for.", content)}
    operation = {
        "operationId": door.__name__,
        "description": inspect.getdoc(door) or "",
        "parameters": [*parameters, _ID_REFERENCE],
        "responses": good | (others or {}) | problems(*errors),
    }
    return {"get": operation}


def _json(schema: Schema) -> dict[str, Any]:
    return {predict.CONTENT_TYPE: {"schema": schema}}


def _any(keys: list[str], kind: str) -> Schema:
    """This kind of payload of any manifest; where there is none, nothing fits."""
    kinds = [{"$ref": f"#/components/schemas/{key}.{kind}"} for key in keys]
    return {"anyOf": kinds} if kinds else {"not": {}}
