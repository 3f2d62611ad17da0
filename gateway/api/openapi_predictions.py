"""The OpenAPI document's part on the doors that take payloads: predict and compare."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gateway.api import compare, predict
from gateway.api.intake import CONTENT_TYPE, TIMEOUT_HEADER
from gateway.api.openapi_answers import json_content, problems, response
from gateway.api.openapi_parameters import ID_REFERENCE, TEXT, one_of, parameter, version
from gateway.api.openapi_schemas import Schema
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BodyTooLarge,
    InvalidInput,
    InvalidRequest,
    NotFound,
    UnsupportedMediaType,
)
from gateway.routing.policy import AUTO
from gateway.routing.router import Router

#: What these doors may raise, beside what a bug would be.
PREDICT_ERRORS = (
    InvalidRequest,
    NotFound,
    BodyTooLarge,
    UnsupportedMediaType,
    InvalidInput,
    BackendError,
    BackendUnavailable,
    BackendTimeout,
)


def predictions(
    router: Router, keys: list[str], examples: dict[str, Any], files: dict[str, list[Schema]]
) -> dict[str, Any]:
    """The path items; ``keys`` are the names of the manifests' schemas.

    ``files`` are the schemas of what some models take besides JSON, by media type.
    """
    asked = {
        "required": True,
        "description": f"At most {router.settings.max_body_bytes} bytes.",
        "content": {CONTENT_TYPE: {"schema": _any(keys, "Input"), "examples": examples}}
        | {
            kind: {"schema": some[0] if some[1:] == some[:-1] else {"anyOf": some}}
            for kind, some in files.items()
        },
    }
    predicted = response(
        "One object of outputs per row, in order.",
        json_content(_any(keys, "Prediction")),
        _timing("What took how many milliseconds, and how many rows went together."),
    )
    compared = response(
        "What each backend has answered, at least one of them, and how far they agree.",
        json_content(_any(keys, "Comparison")),
        _timing("How many milliseconds validation took, and all backends together."),
    )
    choice = f"What answers; without it, or with {AUTO}, the gateway chooses."
    one = parameter("backend", "query", choice, [AUTO, *_backends(router)])
    some = {
        "name": "backends",
        "in": "query",
        "description": "Whom to ask; else all.",
        "required": False,
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "items": one_of(_backends(router)), "minItems": 1},
    }
    trained = "The framework that trained it; else the backend's first."
    only = "Ask only those that the framework has trained; else all."
    return {
        predict.PATH: _post(
            predict.predict,
            [one, *_shared(router, trained)],
            asked,
            predicted,
            "Predict one row, or many at once.",
        ),
        compare.PATH: _post(
            compare.compare,
            [some, *_shared(router, only)],
            asked,
            compared,
            inspect.getdoc(compare.compare) or "",
        ),
    }


def _post(
    door: Callable[..., Any],
    parameters: list[dict[str, Any]],
    body: dict[str, Any],
    good: dict[str, Any],
    about: str,
) -> dict[str, Any]:
    operation = {
        "operationId": door.__name__,
        "description": about,
        "parameters": parameters,
        "requestBody": body,
        "responses": {"200": good, **problems(*PREDICT_ERRORS)},
    }
    return {"post": operation}


def _shared(router: Router, lineage: str) -> list[dict[str, Any]]:
    """The parameters of both doors; ``lineage`` says what that one means."""
    specs = [entry.manifest.backends for entry in router.repository]
    lineages = [name for spec in specs for entry in spec.values() for name in entry.lineages]
    names = list(router.repository.models)
    model = parameter("model", "query", "The model; needed where there are several.", names)
    return [
        model | {"required": len(names) > 1},
        version(router),
        parameter("lineage", "query", lineage, lineages),
        ID_REFERENCE,
        {
            "name": TIMEOUT_HEADER,
            "in": "header",
            "description": "Milliseconds the answer may take at most; "
            f"{router.settings.request_timeout_s * 1000:g} where it says more or is not there.",
            "schema": {"type": "number", "minimum": 1},
        },
    ]


def _backends(router: Router) -> list[str]:
    named = {name for entry in router.repository for name in entry.manifest.backends}
    return [name for name in router.backends if name in named]


def _timing(about: str) -> dict[str, Any]:
    return {"Server-Timing": {"description": about, "schema": TEXT}}


def _any(keys: list[str], kind: str) -> Schema:
    """This kind of payload of any manifest; where there is none, nothing fits."""
    kinds = [{"$ref": f"#/components/schemas/{key}.{kind}"} for key in keys]
    return {"anyOf": kinds} if kinds else {"not": {}}
