"""Inputs that are pictures: the option ``--image``, and the pictures such an input is tried on."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from typing import Any, get_args

import msgspec
import numpy as np

from gateway.errors import ModelError
from gateway.models.image import Allowance, Limits, to_array
from gateway.models.image_feature import MAX_PIXELS, Layout, Mode, check, row_shape
from gateway.models.manifest import Feature
from gateway.models.rows import Array
from serving.importing.errors import ImportRefused
from serving.importing.spec import Spec

#: Pixels that the rows drawn for a model have together, at most.
_DRAWN_PIXELS = 1_000_000
#: Place of the height among a row's dimensions; the width follows it.
_HEIGHT = {"HWC": 0, "CHW": 1, "HW": 0}


def parse_image(text: str) -> Feature:
    """``name:mode:layout`` or ``name:mode:layout:scale`` as a feature that has no size yet.

    Raises ImportRefused.
    """
    name, mode, layout, scale = [*text.split(":"), "", "", ""][:4]
    known = mode in get_args(Mode) and layout in get_args(Layout)
    if not name or not known or text.count(":") not in (2, 3):
        raise ImportRefused(
            f"--image {text}: it must look like name:mode:layout or name:mode:layout:scale, such as"
            f" image:RGB:CHW:255, with a mode of {', '.join(get_args(Mode))} and a layout of"
            f" {', '.join(get_args(Layout))}"
        )
    try:
        factor = float(scale) if text.count(":") == 3 else None
    except ValueError as error:
        raise ImportRefused(f"--image {text}: the scale is one number, such as 255") from error
    checked: Any = {"mode": mode, "layout": layout}
    return Feature(name, "image", scale=factor, **checked)


def parse_images(texts: list[str], mean: str | None, std: str | None) -> tuple[Feature, ...]:
    """All options ``--image``, with the ``--mean`` and ``--std`` of their channels."""
    given = {"mean": mean, "std": std}
    values = {name: _numbers(f"--{name}", text) for name, text in given.items() if text is not None}
    for name in values:
        if not texts:
            raise ImportRefused(f"--{name}: it is for pictures; say which input is one by --image")
    images = (parse_image(text) for text in texts)
    changes: Any = values
    return tuple(msgspec.structs.replace(image, **changes) for image in images)


def sized(image: Feature, spec: Spec) -> Feature:
    """The feature with the size and dtype that the input has; raises ImportRefused.

    Other pictures than those that make just the input's array are refused.
    """
    layout = image.layout or "HWC"
    first, shape = _HEIGHT[layout], spec.shape
    wrong = ImportRefused(
        f"--image {image.name}: {image.mode} pictures as {layout} do not make {spec.text}, which"
        " the model takes"
    )
    if len(shape) != len(layout):
        raise wrong
    if None in shape:
        raise ImportRefused(f"--image {image.name}: pictures need a size, and {spec.text} has none")
    size: Any = shape[first : first + 2]
    dtype = None if spec.dtype == "uint8" else spec.dtype
    feature = msgspec.structs.replace(image, size=size, dtype=dtype)
    try:
        check(feature)
    except ModelError as error:
        raise ImportRefused(f"--image: {error.detail}") from error
    if row_shape(feature) != shape:
        raise wrong
    return feature


def drawable(features: tuple[Feature, ...], rows: int) -> int:
    """How many rows of such features are drawn, `rows` unless their pictures are large."""
    pixels = sum(f.size[0] * f.size[1] for f in features if f.size is not None)
    return min(rows, max(2, _DRAWN_PIXELS // max(pixels, 1)))


def encoded(feature: Feature, pixels: Array) -> list[str]:
    """Pixels, uint8 (rows, …) in the feature's layout or as HWC, as PNG files in base64."""
    wanted = row_shape(feature)
    height, width = feature.size or (0, 0)
    usual = (height, width) if feature.mode == "L" else (height, width, 3)
    if pixels.dtype != np.uint8 or pixels.shape[1:] not in (wanted, usual, (*usual[:2], 1)):
        raise ImportRefused(
            f"{feature.name}: the sample has {pixels.dtype} of shape {pixels.shape[1:]} a row;"
            f" pictures are uint8 of {usual} or {wanted}, not scaled yet"
        )
    if feature.layout == "CHW" and pixels.shape[1:] == wanted:
        pixels = pixels.transpose(0, 2, 3, 1)
    return [_png(picture) for picture in pixels.reshape(-1, *usual)]


def decoded(feature: Feature, pictures: list[str]) -> Array:
    """What the gateway makes of pictures: the array (rows, …) that the model gets."""
    allowance = Allowance(Limits((feature,), MAX_PIXELS, each=True))
    return to_array(feature, [base64.b64decode(picture) for picture in pictures], allowance)


def pictured(
    features: tuple[Feature, ...], columns: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, list[str]]]:
    """Columns with those of pixels as the model gets them, and the pictures these are made of."""
    images = [feature for feature in features if feature.type == "image"]
    pictures = {feature.name: encoded(feature, columns[feature.name]) for feature in images}
    arrays = {feature.name: decoded(feature, pictures[feature.name]) for feature in images}
    return {**columns, **arrays}, pictures


def _png(pixels: Any) -> str:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ImportRefused(f"{option} {text}: it must be numbers, such as 0.5,0.5,0.5") from error
