"""What the doors answer, as the OpenAPI document describes it: types, and from them schemas."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.comparison import Agreement, Distance, Failure
from gateway.api.envelope import ID_HEADER
from gateway.api.intake import CONTENT_TYPE
from gateway.api.openapi_schemas import REFERENCE, Schema
from gateway.errors import (
    BackendUnavailable,
    FieldError,
    GatewayError,
    InvalidInput,
    RateLimited,
)
from gateway.models.manifest import Feature, Output, Parity
from gateway.models.session import Placement
from gateway.routing.breaker import BreakerState
from gateway.routing.policy_document import ModelShape
from gateway.routing.shadow_report import ShadowReport

#: Every response has them.
HEADERS = {
    ID_HEADER: {
        "description": "The request's id.",
        "required": True,
        "schema": {"type": "string"},
    }
}


class Problem(msgspec.Struct):
    """An RFC 9457 problem document; ``detail`` names the field and what is allowed there."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] | UnsetType = UNSET
    errors_omitted: int | UnsetType = UNSET
    field: str | UnsetType = UNSET
    allowed: list[str] | str | UnsetType = UNSET
    sent: str | UnsetType = UNSET
    backend: str | UnsetType = UNSET
    limit_bytes: int | UnsetType = UNSET


class ModelEntry(msgspec.Struct):
    """A model in short; ``backends`` maps each backend to its lineages."""

    name: str
    description: str
    versions: list[str]
    backends: dict[str, list[str]]


class Models(msgspec.Struct):
    """What is served; ``failures`` says why a folder could not be read."""

    models: list[ModelEntry]
    failures: dict[str, str]


class LabelledOutput(Output, frozen=True):
    """An output as its manifest describes it.

    With ``labels``, ``label_key`` is where in an answer's objects the label stands, and
    ``threshold`` is in force also where the manifest says none.
    """

    label_key: str | UnsetType = UNSET


class Model(msgspec.Struct):
    """One version of a model in full; ``schema`` is the JSON Schema of one row."""

    name: str
    version: str
    versions: list[str]
    description: str
    features: list[Feature]
    outputs: list[LabelledOutput]
    backends: dict[str, list[str]]
    out_of_range: Literal["warn", "reject"]
    batched: bool
    parity: Parity
    schema: dict[str, Any]
    example: dict[str, Any]


class TargetEntry(msgspec.Struct):
    """One lineage of a model at a backend, and what is to be said of it.

    ``detail`` is why it is not ready, or what is amiss although it is. ``active`` is the one that
    answers where no version is asked for. ``providers`` only ONNX Runtime has.
    """

    model: str
    version: str
    lineage: str
    active: bool
    ready: bool
    breaker: BreakerState
    queued_rows: int
    detail: str
    providers: Placement | UnsetType = UNSET


class BackendEntry(msgspec.Struct):
    """A backend; ``stand_in`` names the stand-in that answers in its place, if one does."""

    name: str
    url: str | None
    state: Literal["ready", "degraded", "down"]
    required: bool
    stand_in: str | None
    last_error: str | None
    last_error_at: str | None
    models: list[TargetEntry]


class Backends(msgspec.Struct):
    """Every backend."""

    backends: list[BackendEntry]


class Routing(msgspec.Struct):
    """The routing policy in force; ``error`` is why newer content of its file is refused."""

    path: str
    digest: str
    error: str | None
    models: dict[str, ModelShape]


class Shadows(msgspec.Struct):
    """What each model's shadow has found."""

    models: list[ShadowReport]


class Alive(msgspec.Struct):
    """The process answers."""

    status: Literal["alive"]
    version: str


class Ready(msgspec.Struct):
    """Every required backend has answered a warm-up prediction."""

    status: Literal["ready"]


class NotReady(msgspec.Struct):
    """Why requests should not be sent here yet."""

    status: Literal["not ready"]
    reasons: list[str]


#: The types that are of one form whatever the model.
_TYPES = (
    *(Problem, Models, Model, Backends, Routing, Shadows, Alive, Ready, NotReady),
    *(Failure, Agreement, Distance),
)


def reference(kind: type[Any]) -> Schema:
    """A reference to the schema of one of the types of :func:`schemas`."""
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def schemas() -> dict[str, Schema]:
    """The schemas by type name."""
    _, named = msgspec.json.schema_components(_TYPES, ref_template=REFERENCE)
    for schema in named.values():
        schema["description"] = inspect.cleandoc(schema.get("description", ""))
    return named


def response(
    about: str, content: dict[str, Any], headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A response with the header that all have, and these."""
    shared = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
    return {"description": about, "headers": shared | (headers or {}), "content": content}


def json_content(schema: Schema) -> dict[str, Any]:
    """The content of a response that is JSON."""
    return {CONTENT_TYPE: {"schema": schema}}


def problems(*kinds: type[GatewayError]) -> dict[str, Any]:
    """Responses by status; a bug can strike behind every door."""
    every: tuple[type[GatewayError], ...] = (*kinds, GatewayError)
    return {str(kind.status): {"$ref": f"#/components/responses/{kind.__name__}"} for kind in every}


def problem(kind: type[GatewayError]) -> dict[str, Any]:
    """The response of an error; its ``type`` is one of those that share the status."""
    slugs = {known.slug for known in _family(GatewayError) if known.status == kind.status}
    schema = reference(Problem) | {
        "properties": {
            "type": {"enum": sorted(f"urn:problem-type:gateway:{slug}" for slug in slugs)},
            "status": {"const": kind.status},
        },
        "required": ["errors"] if kind is InvalidInput else [],
    }
    headers = {}
    if issubclass(kind, (BackendUnavailable, RateLimited)):
        headers["Retry-After"] = {
            "description": "Seconds to wait before another try.",
            "required": True,
            "schema": {"type": "integer"},
        }
    return response(f"{kind.title}.", {"application/problem+json": {"schema": schema}}, headers)


def _family(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in _family(child))]
