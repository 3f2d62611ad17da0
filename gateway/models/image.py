"""Values of ``image`` features: from an encoded picture to the array a graph takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any

import msgspec
import numpy as np

from gateway.errors import shorten
from gateway.models.image_feature import FORMATS
from gateway.models.manifest import Feature
from gateway.models.payload import kind
from gateway.models.rows import Array
from gateway.models.tensor import Raw, TensorError

#: What msgspec decodes an image to: the encoded picture from base64.
JSON_TYPE: Any = bytes | Raw

#: Pixels the pictures of one request may have together. A file of a few kilobytes can hold
#: hundreds of millions, which would take seconds and gigabytes.
MAX_PIXELS = 16 * 1024 * 1024
#: Pixels that take less than a millisecond or two, and so may be decoded on the event loop.
QUICK_PIXELS = 64 * 1024
#: Scans of a JPEG: ten are usual where there is more than one. Each is a pass over all pixels, and
#: one that changes nothing takes a few bytes.
_MAX_SCANS = 64
_SCAN = b"\xff\xda"
#: Bytes of inflated text beside the pixels of a PNG, which nobody reads here.
_MAX_TEXT = 1024 * 1024


class Slow(Exception):
    """Decoding would take longer than an event loop may wait; nothing is wrong with the picture."""


class Allowance:
    """The pixels that the pictures of one request may still have.

    With ``quick`` they are only those that decode in a moment, and more raise :class:`Slow`.
    """

    __slots__ = ("_left", "_limit", "_quick")

    def __init__(self, limit: int = MAX_PIXELS, quick: bool = False) -> None:
        self._limit = limit
        self._quick = quick
        self._left = min(limit, QUICK_PIXELS) if quick else limit

    def take(self, feature: Feature, width: int, height: int) -> None:
        """Account for a picture before it is decoded; raises :class:`TensorError`.

        It counts as what it is or as what it becomes, whichever is more: a file of one pixel may
        become millions.
        """
        self._left -= max(width * height, math.prod(feature.size or ()))
        if self._left >= 0:
            return
        if self._quick:
            raise Slow
        rows, columns = feature.size or (height, width)
        become = f" and becomes {rows}×{columns}" if rows * columns > width * height else ""
        detail = f"has {height}×{width} pixels{become}; a request may have {self._limit} in all"
        raise TensorError("image", detail)


def to_array(feature: Feature, values: Sequence[bytes | Raw], allowance: Allowance) -> Array:
    """Rows of one image feature, an encoded picture each, as an array (rows, *row shape).

    Raises :class:`TensorError` at a picture that cannot be decoded or is too large.
    """
    return np.stack([_decode(feature, _encoded(value), allowance) for value in values])


def check(feature: Feature, value: object, allowance: Allowance) -> bytes:
    """The encoded picture of one parsed value; raises :class:`TensorError` where it is none.

    ``value`` is base64 text, ``{"b64": "…"}`` or, from a form, the bytes themselves.
    """
    if not isinstance(value, str | bytes | dict):
        raise TensorError("type", f"is {kind(value)}, not a picture in base64")
    try:
        encoded = _encoded(msgspec.convert(value, JSON_TYPE))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        detail = "is not base64" if isinstance(value, str) else f"does not fit: {error}"
        raise TensorError("type", shorten(detail)) from error
    _decode(feature, encoded, allowance)
    return encoded


def _encoded(value: bytes | Raw) -> bytes:
    return value.b64 if type(value) is Raw else value  # type: ignore[return-value]


@cache
def _pillow() -> Any:
    """The module ``PIL.Image``, imported when the first picture comes."""
    from PIL import Image, PngImagePlugin

    PngImagePlugin.MAX_TEXT_MEMORY = _MAX_TEXT
    return Image


def _decode(feature: Feature, encoded: bytes, allowance: Allowance) -> Array:
    """The picture as an array of the feature's shape and dtype."""
    image = _pillow()
    try:
        # The head alone is read here: size and mode. Pixels are decoded when they are asked for.
        with image.open(BytesIO(encoded), formats=FORMATS) as picture:
            allowance.take(feature, *picture.size)
            if picture.format != "PNG" and encoded.count(_SCAN) > _MAX_SCANS:
                raise TensorError("image", f"has more than {_MAX_SCANS} scans")
            pixels = _pixels(feature, picture)
    except (TensorError, Slow):
        raise
    except image.UnidentifiedImageError as error:
        raise TensorError("image", f"is neither {' nor '.join(FORMATS)}") from error
    except image.DecompressionBombError as error:
        raise TensorError("image", "has far too many pixels") from error
    except Exception as error:  # what broken files raise has no base of its own
        raise TensorError("image", f"cannot be decoded: {shorten(str(error))}") from error
    return _arranged(feature, pixels)


def _pixels(feature: Feature, picture: Any) -> Array:
    """uint8 (height, width) for grey, (height, width, 3) else, of the feature's size.

    An orientation that the file notes beside the pixels is not applied, nor is transparency.
    """
    image = _pillow()
    if picture.mode.startswith("I;16"):  # Pillow would cut off what is over 255
        wide: Any = np.asarray(picture)
        picture = image.fromarray((wide >> 8).astype(np.uint8))
    mode = feature.mode or "RGB"
    if picture.mode != mode:
        picture = picture.convert(mode)
    height, width = feature.size or picture.size[::-1]
    if picture.size != (width, height):
        picture = picture.resize((width, height), image.Resampling.BILINEAR)
    return np.asarray(picture)


def _arranged(feature: Feature, pixels: Array) -> Array:
    """Pixels scaled and in the layout the graph takes."""
    row: Any = pixels
    if feature.element == "float32":
        row = row.astype(np.float32)
        if feature.scale is not None:
            row = row / np.float32(feature.scale)
        if feature.mean is not None:
            row = row - np.array(feature.mean, np.float32)
        if feature.std is not None:
            row = row / np.array(feature.std, np.float32)
    if feature.layout == "HW":
        return row  # type: ignore[no-any-return]
    if row.ndim == 2:
        row = row[:, :, np.newaxis]
    return row.transpose(2, 0, 1) if feature.layout == "CHW" else row  # type: ignore[no-any-return]
