"""Values of ``image`` features: from an encoded picture to the array a graph takes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any

import msgspec
import numpy as np

from gateway.errors import shorten
from gateway.models.bare import orientation, strip
from gateway.models.image_feature import FORMATS, row_shape
from gateway.models.manifest import Feature
from gateway.models.payload import kind
from gateway.models.rows import Array
from gateway.models.tensor import Raw, RowError, TensorError

#: What msgspec decodes an image to: the encoded picture from base64.
JSON_TYPE: Any = bytes | Raw

#: Pixels that take less than a millisecond or two, and so may be decoded on the event loop. Those
#: of a JPEG count once for each scan, which is a pass over all of them.
QUICK_PIXELS = 64 * 1024
#: Bytes of a row's array that a pixel of the limit allows.
_BYTES_PER_PIXEL = 4
#: Scans of a JPEG: ten are usual where there is more than one, and one that changes nothing takes a
#: few bytes.
_MAX_SCANS = 64
_SCAN = b"\xff\xda"
#: A JPEG may be decoded to a half, a quarter or an eighth of its size, as long as that is so many
#: times what it is resized to: then the difference cannot be seen.
_SPARE = 3
#: By EXIF's number of it the name of what undoes an orientation, in ``PIL.Image.Transpose``.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
#: Those that lie on their side.
_SIDEWAYS = (5, 6, 7, 8)
#: What stands before base64 in a ``data:`` URL (RFC 2397), as browsers give it.
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f]+")


class Slow(Exception):
    """Decoding would take longer than an event loop may wait; nothing is wrong with the picture."""


class Limits:
    """What the pictures of one request for a model may take.

    ``pixels`` is the setting: a file of a few kilobytes can hold hundreds of millions, which would
    take seconds and gigabytes. Pictures that have the sizes in the manifest fit in one row whatever
    it is. With ``each`` it holds for every picture by itself, and their number is not bounded here.
    """

    __slots__ = ("bytes", "each", "pixels")

    def __init__(self, features: Sequence[Feature], pixels: int, each: bool = False) -> None:
        self.each = each
        self.pixels = max(pixels, sum(math.prod(feature.size or ()) for feature in features))
        self.bytes = max(pixels * _BYTES_PER_PIXEL, sum(map(_row_bytes, features)))


class Allowance:
    """What the pictures of one request may still take.

    With ``quick`` that is only what decodes in a moment, and more raises :class:`Slow`.
    """

    __slots__ = ("_bytes", "_limits", "_pixels", "_quick")

    def __init__(self, limits: Limits, quick: bool = False) -> None:
        self._limits = limits
        self._bytes = limits.bytes
        self._pixels = limits.pixels
        self._quick = QUICK_PIXELS if quick else None

    def take(self, feature: Feature, width: int, height: int, scans: int = 1) -> None:
        """Account for a picture before it is decoded; raises :class:`TensorError`.

        It counts as what it is or as what it becomes, whichever is more: a file of one pixel may
        become millions.
        """
        limits = self._limits
        pixels, row_bytes = max(width * height, math.prod(feature.size or ())), _row_bytes(feature)
        if limits.each:
            self._pixels, self._bytes = limits.pixels, limits.bytes
        self._pixels -= pixels
        self._bytes -= row_bytes
        rows, columns = feature.size or (height, width)
        if self._pixels < 0:
            become = f" and becomes {rows}×{columns}" if rows * columns > width * height else ""
            said = f"has {height}×{width} pixels{become}; a request may have {limits.pixels} in all"
            raise TensorError("image", said)
        if self._bytes < 0:
            said = f"becomes an array of {row_bytes} bytes; a request's may have {limits.bytes}"
            raise TensorError("image", f"{said} in all")
        if self._quick is not None:
            self._quick -= pixels * scans
            if self._quick < 0:
                raise Slow

    def has_room(self, feature: Feature, count: int) -> bool:
        """Whether arrays of so many rows may be made, whatever their pictures are."""
        return self._limits.each or count * _row_bytes(feature) <= self._bytes


def to_array(feature: Feature, values: Sequence[bytes | Raw], allowance: Allowance) -> Array:
    """Rows of one image feature, an encoded picture each, as an array (rows, *row shape).

    Raises :class:`RowError` at the first picture that cannot be decoded or is too large.
    """
    # Without room no array is made: the heads are enough to say which picture is too much.
    room = allowance.has_room(feature, len(values))
    array: Array = np.empty((len(values) if room else 0, *row_shape(feature)), feature.element)
    for row, value in enumerate(values):
        try:
            encoded = _encoded(value)
            with _opened(feature, encoded, allowance) as picture:
                pixels = _pixels(feature, picture, orientation(encoded)) if room else None
        except TensorError as error:
            raise RowError(error, row) from error
        if pixels is not None:
            _arrange(feature, pixels, array[row])
    return array


def check(feature: Feature, value: object, allowance: Allowance) -> bytes:
    """The encoded picture of one parsed value; raises :class:`TensorError` where it is none.

    Only its head is looked at: what is wrong with the pixels shows when they are decoded, once.
    ``value`` is base64 text, which may be wrapped in lines or a ``data:`` URL, ``{"b64": "…"}`` or,
    from a form, the bytes themselves.
    """
    if not isinstance(value, str | bytes | dict):
        raise TensorError("type", f"is {kind(value)}, not a picture in base64")
    if isinstance(value, str):
        value = _BLANKS.sub("", value)
        value = value[prefix.end() :] if (prefix := _DATA_URL.match(value)) else value
    try:
        encoded = _encoded(msgspec.convert(value, JSON_TYPE))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        detail = "is not base64" if isinstance(value, str) else f"does not fit: {error}"
        raise TensorError("type", shorten(detail)) from error
    with _opened(feature, encoded, allowance):
        return encoded


def _encoded(value: bytes | Raw) -> bytes:
    return value.b64 if type(value) is Raw else value  # type: ignore[return-value]


@cache
def _pillow() -> Any:
    """The module ``PIL.Image``, imported when the first picture comes."""
    from PIL import Image

    return Image


@contextmanager
def _opened(feature: Feature, encoded: bytes, allowance: Allowance) -> Iterator[Any]:
    """Pillow's picture, not decoded yet; what it raises meanwhile comes as :class:`TensorError`."""
    image = _pillow()
    try:
        # The head alone is read here: size and mode. Pixels are decoded when they are asked for.
        bare = strip(encoded)
        with image.open(BytesIO(bare), formats=FORMATS) as picture:
            scans = 1 if picture.format == "PNG" else bare.count(_SCAN)
            width, height = picture.size
            allowance.take(feature, width, height, scans)
            if scans > _MAX_SCANS:
                raise TensorError("image", f"has more than {_MAX_SCANS} scans")
            yield picture
    except (TensorError, Slow):
        raise
    except image.UnidentifiedImageError as error:
        raise TensorError("image", f"is neither {' nor '.join(FORMATS)}") from error
    except image.DecompressionBombError as error:
        raise TensorError("image", "has far too many pixels") from error
    except Exception as error:  # what broken files raise has no base of its own
        raise TensorError("image", f"cannot be decoded: {shorten(str(error))}") from error


def _pixels(feature: Feature, picture: Any, orientation: int) -> Array:
    """uint8 (height, width) for grey, (height, width, 3) else, of the feature's size.

    The picture is turned upright by its EXIF ``orientation``; what is transparent shows white.
    """
    image = _pillow()
    height, width = feature.size or picture.size[::-1]
    if orientation in _SIDEWAYS:
        height, width = width, height
    side = _SPARE * max(height, width)
    picture.draft(None, (side, side))
    mode = feature.mode or "RGB"
    if picture.mode.startswith("I;16"):  # Pillow would cut off what is over 255
        wide: Any = np.asarray(picture)
        picture = image.fromarray((wide >> 8).astype(np.uint8))
    clear = picture.has_transparency_data
    picture = _of_mode(picture, "RGBA" if clear else mode)
    if picture.size != (width, height):
        picture = picture.resize((width, height), image.Resampling.BILINEAR)
    if clear:
        white = image.new("RGBA", picture.size, "white")
        picture = _of_mode(image.alpha_composite(white, picture), mode)
    # Last, because there are fewer pixels to move by now.
    if orientation in _UPRIGHT:
        picture = picture.transpose(image.Transpose[_UPRIGHT[orientation]])
    return np.asarray(picture)


def _of_mode(picture: Any, mode: str) -> Any:
    return picture if picture.mode == mode else picture.convert(mode)


def _arrange(feature: Feature, pixels: Array, row: Any) -> None:
    """Write pixels into ``row``, of the graph's shape, scaled and in the layout it takes."""
    if feature.layout == "CHW":
        row = row.transpose(1, 2, 0)
    elif feature.layout == "HW":
        row = row[:, :, np.newaxis]
    row[...] = pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]
    if feature.scale is not None:
        row /= np.float32(feature.scale)
    if feature.mean is not None:
        row -= np.array(feature.mean, np.float32)
    if feature.std is not None:
        row /= np.array(feature.std, np.float32)


def _row_bytes(feature: Feature) -> int:
    """Bytes of one row's array."""
    return math.prod(row_shape(feature)) * np.dtype(feature.element).itemsize
