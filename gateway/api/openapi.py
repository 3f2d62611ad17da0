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
from gateway.api import health, models, openapi_outline, routing
from gateway.api.envelope import ID_HEADER
from gateway.api.forms import MULTIPART
from gateway.api.intake import CONTENT_TYPE
from gateway.api.media import media_types
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
    json_content,
    problem,
    problems,
    reference,
    response,
    schemas,
)
from gateway.api.openapi_management import KEY_ERRORS, edits, secure
from gateway.api.openapi_parameters import ID_PARAMETER, ID_REFERENCE, parameter, version
from gateway.api.openapi_predictions import PREDICT_ERRORS, predictions
from gateway.api.openapi_schemas import BINARY, body, comparison, form, prediction, row
from gateway.api.state import ROUTER
from gateway.errors import GatewayError, InvalidRequest, NotFound
from gateway.metrics import METRICS_CONTENT_TYPE
from gateway.models.manifest import Manifest
from gateway.models.repository import ModelVersion
from gateway.routing.router import Router

PATH = "/openapi.json"

_ERRORS = (*PREDICT_ERRORS, *KEY_ERRORS, GatewayError)
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
    return web.Response(body=_encoded[router][1], content_type=CONTENT_TYPE)


def document(router: Router) -> dict[str, Any]:
    """The OpenAPI document of a gateway, of plain JSON values.

    It names the models, versions, backends and lineages that are there at this moment.
    """
    payloads, examples = {}, {}
    keys = []
    files: dict[str, list[Any]] = {}
    for key, manifest, versions in _described(router):
        one = {"$ref": f"#/components/schemas/{key}.Row"}
        payloads[f"{key}.Row"] = row(manifest)
        payloads[f"{key}.Input"] = body(manifest.name, one, router.settings.max_instances)
        payloads[f"{key}.Prediction"] = prediction(manifest, versions)
        payloads[f"{key}.Comparison"] = comparison(manifest, versions)
        keys.append(key)
        if manifest.images:
            payloads[f"{key}.Form"] = form(manifest)
        for kind in media_types(manifest)[1:]:
            one = {"$ref": f"#/components/schemas/{key}.Form"} if kind == MULTIPART else BINARY
            files.setdefault(kind, []).append(one)
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
            **predictions(router, keys, examples, files),
            "/v1/models": _get(models.models, json_content(reference(Models)), InvalidRequest),
            "/v1/models/{name}": _get(
                models.model,
                json_content(reference(Model)),
                *(InvalidRequest, NotFound),
                parameters=[
                    parameter("name", "path", "The model.", models_there),
                    version(router),
                ],
            ),
            "/v1/backends": _get(health.backends, json_content(reference(Backends))),
            "/healthz": _get(health.healthz, json_content(reference(Alive))),
            "/readyz": _get(
                health.readyz,
                json_content(reference(Ready)),
                others={"503": response("Not ready.", json_content(reference(NotReady)))},
            ),
            "/metrics": _get(
                health.metrics,
                {METRICS_CONTENT_TYPE.partition(";")[0]: {"schema": {"type": "string"}}},
            ),
            "/v1/routing": _get(routing.show, json_content(reference(Routing)), InvalidRequest),
            "/v1/shadow": _get(routing.shadow, json_content(reference(Shadows)), InvalidRequest),
            **edits([parameter("model", "path", "The model.", models_there), ID_REFERENCE]),
            PATH: _get(openapi, json_content({"type": "object", "required": ["openapi", "paths"]})),
        },
        "components": {
            "schemas": schemas() | payloads,
            "responses": {kind.__name__: problem(kind) for kind in _ERRORS},
            "parameters": {ID_HEADER: ID_PARAMETER},
            "headers": HEADERS,
        },
    }
    return openapi_outline.outline(secure(described, router.settings))


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
        "parameters": [*parameters, ID_REFERENCE],
        "responses": good | (others or {}) | problems(*errors),
    }
    return {"get": operation}
