"""The OpenAPI document's part on managing: the doors that edit, and what keys change everywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from gateway.api import routing
from gateway.api.guard import Need, need
from gateway.api.openapi_answers import Routing, problems, reference, response
from gateway.api.openapi_schemas import Schema
from gateway.config import Settings
from gateway.errors import (
    BodyTooLarge,
    Forbidden,
    GatewayError,
    InvalidRequest,
    NotFound,
    RateLimited,
    Unauthorized,
)
from gateway.routing.policy_document import ModelShape

#: What a key may be refused with.
KEY_ERRORS: tuple[type[GatewayError], ...] = (Unauthorized, Forbidden, RateLimited)

_SHIFT: Schema = {
    "type": "object",
    "properties": {
        "to": {"type": "string"},
        "percent": {"type": "number", "minimum": 0, "maximum": 100},
    },
    "required": ["to", "percent"],
    "additionalProperties": False,
}
#: https://spec.openapis.org/oas/v3.1.0#security-scheme-object
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def edits(shared: list[dict[str, Any]]) -> dict[str, Any]:
    """The path items of the doors that edit, with the parameters they ``shared`` have."""
    return {
        "/v1/routing/{model}": {
            "put": _edit(routing.replace, reference(ModelShape), shared),
        },
        "/v1/routing/{model}/shift": {"post": _edit(routing.move, _SHIFT, shared)},
    }


def secure(document: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The document of the public port, with what the settings say of keys and of management."""
    paths = document["paths"]
    if settings.management_port:
        managing = [path for path in paths if need(path, "GET") is Need.READ]
        for path in managing:
            del paths[path]
    if settings.api_keys_file:
        document["components"]["securitySchemes"] = _SCHEMES
        document["security"] = [{name: []} for name in _SCHEMES]
    for path, method, operation in _operations(paths):
        needed = need(path, method.upper())
        if settings.api_keys_file and needed is Need.NOTHING:
            operation["security"] = []
        elif settings.api_keys_file:
            kinds = KEY_ERRORS if needed is not Need.KEY else (Unauthorized, RateLimited)
            operation["responses"] = problems(*kinds) | operation["responses"]
    return document


def _edit(
    door: Callable[..., Any], schema: Schema, parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "operationId": door.__name__,
        "description": f"{inspect.getdoc(door)} Needs an admin's API key.",
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": response(
                "The policy in force.", {"application/json": {"schema": reference(Routing)}}
            ),
            **problems(InvalidRequest, NotFound, BodyTooLarge, Forbidden),
        },
    }


def _operations(paths: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in paths.items():
        for method, operation in item.items():
            yield path, method, operation
