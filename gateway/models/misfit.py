"""What is wrong with one parsed value: the exact way of :mod:`gateway.models.validator`."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from gateway.errors import Misfit, shorten
from gateway.models import image
from gateway.models.manifest import Feature
from gateway.models.payload import Unfit, kind
from gateway.models.tensor import TensorError, encodable, json_type, to_array

#: What converting parsed JSON raises; the latter at lone surrogates in keys and categories.
UNFIT = (msgspec.ValidationError, UnicodeEncodeError)


class Fault(NamedTuple):
    """Why a value does not fit, by kind and in words."""

    kind: Misfit
    detail: str


def scalar_fault(feature: Feature, value: object) -> Fault | None:
    """What is wrong with a parsed scalar, or None where it fits the feature."""
    if feature.type == "string":
        if not isinstance(value, str):
            return Fault("type", f"is {kind(value)}, not a string")
        if feature.categories is not None and value not in feature.categories:
            return Fault("category", "is not a known category")
        return None if encodable(value) else Fault("text", "is not valid Unicode")
    if feature.type == "boolean":
        if isinstance(value, bool):
            return None
        return Fault("type", f"is {kind(value)}, not a boolean")
    if value is None and not feature.finite:
        return None
    if isinstance(value, Unfit):
        return Fault("dtype", "is no number that can be computed with")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Fault("type", f"is {kind(value)}, not a number")
    low, high = feature.limits
    if not low <= value <= high:
        return Fault("dtype", f"does not fit in {feature.element}")
    if feature.type == "integer" and value != int(value):
        return Fault("type", "is not a whole number")
    return None


def tensor_fault(feature: Feature, value: object) -> tuple[Fault | None, Any]:
    """What is wrong with a parsed tensor, or None; and the value as the fast way decodes it."""
    try:
        decoded = msgspec.convert(value, json_type(feature))
        to_array(feature, [decoded])
    except UNFIT as error:
        return Fault("type", f"does not fit: {shorten(str(error))}"), None
    except TensorError as error:
        return Fault(error.kind, error.detail), None
    return None, decoded


def image_fault(
    feature: Feature, value: object, allowance: image.Allowance
) -> tuple[Fault | None, Any]:
    """What is wrong with a parsed image, or None; and the value as the fast way decodes it."""
    try:
        return None, image.check(feature, value, allowance)
    except TensorError as error:
        return Fault(error.kind, error.detail), None
