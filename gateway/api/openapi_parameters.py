"""The OpenAPI document's parameters: what stands in paths, queries and headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.api.envelope import ID_HEADER
from gateway.api.openapi_schemas import Schema
from gateway.routing.router import Router

TEXT: Schema = {"type": "string"}
ID_REFERENCE = {"$ref": f"#/components/parameters/{ID_HEADER}"}
ID_PARAMETER: dict[str, Any] = {
    "name": ID_HEADER,
    "in": "header",
    "description": "Taken over where it is 1 to 128 printable ASCII characters without spaces; "
    "otherwise the request gets a new one.",
    "schema": TEXT,
}


def parameter(name: str, place: str, about: str, values: Iterable[str]) -> dict[str, Any]:
    """A parameter that is one of the ``values``."""
    return {
        "name": name,
        "in": place,
        "description": about,
        "required": place == "path",
        "schema": one_of(values),
    }


def one_of(values: Iterable[str]) -> Schema:
    """The schema of a text that is one of these."""
    return TEXT | {"enum": list(dict.fromkeys(values))}


def version(router: Router) -> dict[str, Any]:
    """The parameter that asks for a model's version."""
    versions = [entry.version for entry in router.repository]
    return parameter("version", "query", "The model's version; else the newest.", versions)
