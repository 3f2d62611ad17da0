"""How a manifest describes an image feature: what contradicts itself, the array's shape, a picture.

Pillow, which decodes, is imported only where a model has such a feature.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from gateway.errors import ModelError

if TYPE_CHECKING:
    from gateway.models.manifest import Feature

#: Pillow's modes: grey, and red, green, blue. Pictures in others are converted.
Mode = Literal["L", "RGB"]
#: Order of a row's dimensions: height, width, channels.
Layout = Literal["HWC", "CHW", "HW"]

#: Encodings that are read, as media types and as Pillow calls them.
MEDIA_TYPES = ("image/png", "image/jpeg")
FORMATS = ("PNG", "JPEG")
#: How such files begin.
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
#: Pixels the pictures of one request may have together, unless the setting says otherwise.
MAX_PIXELS = 32 * 1024 * 1024
#: More than that Pillow itself refuses in one picture: twice its ``MAX_IMAGE_PIXELS``.
MOST_PIXELS = 178_956_970
#: Longest side a graph may take: what is decoded is resized to it.
_MAX_SIDE = 8192

#: The fields that only an image has.
_OWN = ("mode", "size", "layout", "scale", "mean", "std")


def channels(feature: Feature) -> int:
    """Values per pixel."""
    return 1 if feature.mode == "L" else 3


def row_shape(feature: Feature) -> tuple[int, ...]:
    """The shape of one row as the graph gets it."""
    height, width = feature.size or (0, 0)
    if feature.layout == "HW":
        return height, width
    if feature.layout == "CHW":
        return channels(feature), height, width
    return height, width, channels(feature)


def check(feature: Feature) -> None:
    """Raise :class:`ModelError` where the description of an image contradicts itself."""
    where = f"feature {feature.name}"
    if feature.type != "image":
        given = [name for name in _OWN if getattr(feature, name) is not None]
        if given:
            raise ModelError(f"{where}: a {feature.type} has no {given[0]}")
        return
    if feature.size is None:
        raise ModelError(f"{where}: an image needs its size: [height, width]")
    if not all(1 <= side <= _MAX_SIDE for side in feature.size):
        raise ModelError(f"{where}: size must be of 1 to {_MAX_SIDE} pixels a side")
    if feature.shape:
        raise ModelError(f"{where}: an image has a size, not a shape")
    if feature.layout == "HW" and feature.mode != "L":
        raise ModelError(
            f"{where}: layout HW has no room for the channels of {feature.mode or 'RGB'}"
        )
    if feature.element not in ("uint8", "float32"):
        raise ModelError(f"{where}: an image is uint8 or float32, not {feature.element}")
    _check_scaling(feature, where)


def _check_scaling(feature: Feature, where: str) -> None:
    scaled = [name for name in ("scale", "mean", "std") if getattr(feature, name) is not None]
    if scaled and feature.element != "float32":
        raise ModelError(f"{where}: {scaled[0]} needs dtype float32")
    if feature.scale is not None and not feature.scale > 0:
        raise ModelError(f"{where}: scale must be above 0")
    for name in ("mean", "std"):
        values = getattr(feature, name)
        if values is not None and len(values) != channels(feature):
            raise ModelError(f"{where}: {name} has {len(values)} values, not one per channel")
    if feature.std is not None and not all(value > 0 for value in feature.std):
        raise ModelError(f"{where}: std must be above 0")


def json_schema(feature: Feature) -> dict[str, Any]:
    """The feature as JSON carries it: the encoded picture in base64."""
    return {
        "type": "string",
        "contentEncoding": "base64",
        "contentMediaType": MEDIA_TYPES[0],
        "x-media-types": list(MEDIA_TYPES),
        "x-size": list(feature.size or ()),
        "x-mode": feature.mode or "RGB",
    }


def allowed(feature: Feature) -> str:
    """What the feature accepts, in words."""
    height, width = feature.size or (0, 0)
    return f"a PNG or JPEG picture, in JSON as base64; it is resized to {height}×{width}"


def blank(feature: Feature) -> str:
    """A grey picture of the feature's size, a PNG in base64: where there is no other example."""
    height, width = feature.size or (1, 1)
    return _blank(feature.mode or "RGB", width, height)


@lru_cache(maxsize=64)
def _blank(mode: Mode, width: int, height: int) -> str:
    from PIL import Image

    file = BytesIO()
    Image.new(mode, (width, height), 128 if mode == "L" else (128, 128, 128)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
