"""The JSON Schemas (2020-12) of payloads, made from the manifests.

They follow the manifest's own schema and add the bounds that the validator enforces.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from gateway.api.comparison import Comparison, Result
from gateway.api.predict import Prediction
from gateway.models.manifest import Feature, Manifest, Output, format_number
from gateway.models.tensor import Raw

Schema = dict[str, Any]
#: A file as it is.
BINARY: Schema = {"type": "string", "format": "binary"}
#: Where the document keeps its schemas, by name.
REFERENCE = "#/components/schemas/{name}"


def body(name: str, row_schema: Schema, max_instances: int) -> Schema:
    """The body of a prediction by model ``name``: one row, or 1 to ``max_instances``."""
    rows = {"type": "array", "items": row_schema, "minItems": 1, "maxItems": max_instances}
    batch: Schema = {
        "type": "object",
        "properties": {"instances": rows},
        "required": ["instances"],
        "additionalProperties": False,
    }
    return {"title": f"Input of {name}", "oneOf": [row_schema, batch]}


def row(manifest: Manifest) -> Schema:
    """One row: the manifest's schema, with the bounds the validator enforces."""
    schema = manifest.json_schema
    reject = manifest.out_of_range == "reject"
    for feature in manifest.features:
        schema["properties"][feature.name] = _feature(feature, reject)
    return {"title": f"Row of {manifest.name}", **schema}


def form(manifest: Manifest) -> Schema:
    """One row as the parts of a form: pictures as files, all else as text."""
    features = {feature.name: feature.json_schema for feature in manifest.features}
    for feature in manifest.images:
        features[feature.name] = BINARY | {"description": feature.allowed}
    return {
        "title": f"Form of {manifest.name}",
        "type": "object",
        "properties": features,
        "required": list(features),
    }


def prediction(manifest: Manifest, versions: Iterable[str]) -> Schema:
    """The answer to a prediction, one object of the manifest's outputs per row."""
    _, schemas = msgspec.json.schema_components([Prediction])
    schema = _narrow(schemas[Prediction.__name__], _names(manifest, versions))
    schema["properties"]["predictions"] = _predictions(manifest)
    return schema | {"title": f"Predictions of {manifest.name}", "description": ""}


def comparison(manifest: Manifest, versions: Iterable[str]) -> Schema:
    """The answer to a comparison, with a result for each target."""
    names = _names(manifest, versions)
    _, schemas = msgspec.json.schema_components([Comparison], ref_template=REFERENCE)
    # While a new version comes in, a server may answer with one of another manifest.
    own = {name: values for name, values in names.items() if name != "version"}
    result = _narrow(schemas[Result.__name__], own)
    result["properties"]["predictions"] = {"anyOf": [_predictions(manifest), {"type": "null"}]}
    schema = _narrow(schemas[Comparison.__name__], names)
    schema["properties"]["results"] = {"type": "array", "items": result, "minItems": 1}
    return schema | {"title": f"Comparison of {manifest.name}", "description": ""}


def _names(manifest: Manifest, versions: Iterable[str]) -> dict[str, list[str]]:
    """What the members that name things may hold."""
    backends = manifest.backends
    return {
        "model": [manifest.name],
        "version": list(versions),
        "backend": list(backends),
        "lineage": list(dict.fromkeys(n for spec in backends.values() for n in spec.lineages)),
    }


def _narrow(schema: Schema, names: dict[str, list[str]]) -> Schema:
    """The schema of an object, its members that name things held to what there is."""
    there = schema["properties"]
    there |= {key: {"type": "string", "enum": enum} for key, enum in names.items() if key in there}
    return schema | {"description": inspect.cleandoc(schema.get("description", ""))}


def _predictions(manifest: Manifest) -> Schema:
    labels = {
        manifest.label_keys[output.name]: {
            "enum": [*output.labels, None],
            "description": f"What {output.name} says; null where it is not finite.",
        }
        for output in manifest.outputs
        if output.labels
    }
    return {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {output.name: _output(output) for output in manifest.outputs} | labels,
            "required": [*(output.name for output in manifest.outputs), *labels],
            "additionalProperties": False,
        },
        "minItems": 1,
    }


def _feature(feature: Feature, reject: bool) -> Schema:
    schema = feature.json_schema
    about = [feature.description, f"In {feature.unit}." if feature.unit else ""]
    if feature.range is not None:
        low, high = (format_number(value) for value in feature.range)
        about.append(f"Seen in training: {low}–{high}; values beyond are")
        about[-1] += " refused." if reject else " answered with a warning."
    if feature.type in ("integer", "number"):
        schema |= _bounds(feature, reject)
    schema["description"] = " ".join(filter(None, about))
    if feature.type == "image":
        outer = {key: schema.pop(key) for key in ("description", "examples") if key in schema}
        _, raw = msgspec.json.schema_components([Raw])
        return outer | {"anyOf": [schema, raw[Raw.__name__] | {"description": ""}]}
    return _tensor(feature, schema) if feature.type == "tensor" else schema


def _bounds(feature: Feature, reject: bool) -> Schema:
    low, high = feature.limits
    if reject and feature.range is not None:
        low, high = max(low, feature.range[0]), min(high, feature.range[1])
    return {"minimum": low, "maximum": high}


def _tensor(feature: Feature, schema: Schema) -> Schema:
    """Nested lists with bounded elements, or the same in base64 where that is read."""
    rank = len(feature.shape)
    element = schema
    for _ in range(rank):
        element = element["items"]
    kind = "O" if feature.element == "string" else np.dtype(feature.element).kind
    if kind in "iuf":
        number: Any = "number" if feature.finite else ["number", "null"]
        element |= {"type": number if kind == "f" else "integer"} | _bounds(feature, False)
    if kind == "O" or rank == 0:
        return schema
    about = ("description", "examples", "x-unit", "x-dtype")
    outer = {key: schema.pop(key) for key in about if key in schema}
    return outer | {"anyOf": [schema, _raw(feature)]}


def _raw(feature: Feature) -> Schema:
    """The tensor in base64 (RFC 4648 section 4): with a known shape, of a known length."""
    _, schemas = msgspec.json.schema_components([Raw])
    schema: Schema = schemas[Raw.__name__]
    text = schema["properties"]["b64"]
    alphabet = "[A-Za-z0-9+/]*"
    if None in feature.shape:
        text["pattern"] = f"^{alphabet}={{0,2}}$"
    else:
        size = int(np.prod([s for s in feature.shape if s is not None]))
        size *= np.dtype(feature.element).itemsize
        characters = -(-size // 3) * 4
        text |= {"minLength": characters, "maxLength": characters}
        text["pattern"] = f"^{alphabet}{'=' * (-size % 3)}$"
    sizes = [
        {"type": "integer", "minimum": 0} if s is None else {"const": s} for s in feature.shape
    ]
    rank = {"minItems": len(sizes), "maxItems": len(sizes)}
    several = feature.shape.count(None) > 1
    kind: Any = "array" if several else ["array", "null"]
    schema["properties"]["shape"] = {"type": kind, "prefixItems": sizes} | rank
    schema["required"] = ["b64", "shape"] if several else ["b64"]
    about = inspect.cleandoc(schema["description"])
    finite = "\n\nFloating-point numbers must be finite." if feature.finite else ""
    return schema | {"description": about + finite}


def _output(output: Output) -> Schema:
    """A manifest does not say what type its outputs are; null stands for what is not finite."""
    schema: Schema = {"type": ["number", "string", "boolean", "null"]}
    for size in reversed(output.shape):
        schema = {"type": "array", "items": schema}
        if size is not None:
            schema |= {"minItems": size, "maxItems": size}
    about = [output.description, f"In {output.unit}." if output.unit else ""]
    return schema | {"description": " ".join(filter(None, about))}
