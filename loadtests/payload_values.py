"""What one feature may be: where payloads take its values from."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import msgspec
import numpy as np

from gateway.models.manifest import Feature, Manifest
from gateway.models.rows import Array
from gateway.models.tensor import json_type, to_array

#: What free text may hold; the feature's example comes first.
_TEXTS = ("", "a", "two words", "Zürich", "漢字", '"quoted" \\ and\nbroken')
#: Where nothing is known of a number: whole ones, which may be indices, and others.
_PLAIN_WHOLE = (0, 9)
_PLAIN = (-1.0, 1.0)
#: An edge value outside a range of numbers lies this part of the range beyond it.
_BEYOND = 0.01
#: Drawn numbers have this many digits after the first of their range, so that they can be read.
_DIGITS = 5
#: Patches a side of a drawn picture.
_PATCHES = 8


class Choices:
    """A feature, or a tensor's elements, drawn from ``options``.

    ``middle`` is a value, ``edges`` are several of which the first two are the ends.
    """

    def __init__(self, options: Sequence[Any], shape: tuple[int, ...] = ()) -> None:
        self.options = list(dict.fromkeys(options))
        self._options: Any = np.array(self.options, dtype=object)
        self.shape = shape
        count = len(self._options)
        self.middle = self._full(count // 2)
        self.edges = [self._full(index) for index in (0, count - 1, *range(1, count - 1))]

    def draw(self, random: np.random.Generator) -> Any:
        """A value, uniformly, as JSON spells it."""
        picked = random.integers(len(self._options), size=self.shape)
        return np.asarray(self._options[picked], dtype=object).tolist()

    def _full(self, index: int) -> Any:
        # By index: np.full would take a text for a C string, and drop a NUL at its end.
        picked = self._options[np.full(self.shape, index)]
        return np.asarray(picked, dtype=object).tolist()


class Numbers:
    """A numeric feature, or a tensor's elements; ``example`` has the shape of one row.

    ``low`` and ``high`` bound what is drawn; ``whole``: only whole numbers are. ``middle`` and
    ``edges`` as in :class:`Choices`.
    """

    def __init__(self, feature: Feature, example: Array, outside: bool) -> None:
        dtype = np.dtype(feature.element)
        self.whole = feature.type == "integer" or dtype.kind != "f"
        self._dtype: Any = dtype if dtype.kind in "iu" else np.int64
        self.shape = example.shape
        self.low, self.high = self._ends(feature, example.tolist() if example.size else 0)
        self.middle = self._full(self._between(0.5))
        values = [self.low, self.high]
        if self.low < 0 < self.high:
            values.append(0)
        if outside and feature.range is not None:
            low, high = feature.limits
            step = 1 if self.whole else self._readable((self.high - self.low) * _BEYOND)
            values += [v for v in (self.low - step, self.high + step) if low <= v <= high]
        self.edges = [self._full(value) for value in values]

    def draw(self, random: np.random.Generator) -> Any:
        """A value, uniformly, as JSON spells it."""
        if self.whole:
            low, high = self.low, self.high
            drawn = random.integers(low, high, self.shape, self._dtype, endpoint=True)
            return np.asarray(drawn).tolist()
        return np.asarray(self._between(random.random(self.shape))).tolist()

    def _ends(self, feature: Feature, example: Any) -> tuple[Any, Any]:
        low, high = feature.range or _spread(feature, np.ravel(np.array(example, object)).tolist())
        if not self.whole:
            return float(low), float(high)
        limits = np.iinfo(self._dtype)
        low, high = max(math.ceil(low), int(limits.min)), min(math.floor(high), int(limits.max))
        return low, max(low, high)

    def _between(self, part: Any) -> Any:
        """The value this part of the way from the lowest to the highest; also of arrays."""
        if self.whole:
            return self.low + int((self.high - self.low) * part)
        # Not low + part × (high − low): the difference may be beyond all numbers.
        value = self.low * (1 - part) + self.high * part
        return np.clip(self._readable(value), self.low, self.high)

    def _readable(self, value: Any) -> Any:
        size = self.high - self.low
        if not 0 < size < math.inf:
            return value
        return np.round(value, min(_DIGITS - math.floor(math.log10(size)), 300))

    def _full(self, value: Any) -> Any:
        return np.full(self.shape, value, dtype=None if self.whole else np.float64).tolist()


class Pictures(Choices):
    """An image: grey, black, white, or drawn as patches that run into each other.

    ``shape`` is its height and width.
    """

    def __init__(self, feature: Feature) -> None:
        self._mode = feature.mode or "RGB"
        self.shape = feature.size or (1, 1)
        self.options = [self._plain(value) for value in (128, 0, 255)]
        self.middle, *self.edges = self.options

    def draw(self, random: np.random.Generator) -> str:
        """A PNG in base64, as JSON spells it."""
        shape = (_PATCHES, _PATCHES) if self._mode == "L" else (_PATCHES, _PATCHES, 3)
        return self._encoded(random.integers(0, 256, shape, np.uint8))

    def _plain(self, value: int) -> str:
        return self._encoded(np.full((1, 1) if self._mode == "L" else (1, 1, 3), value, np.uint8))

    def _encoded(self, pixels: Array) -> str:
        from PIL import Image

        file = BytesIO()
        height, width = self.shape
        Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR).save(file, "PNG")
        return base64.b64encode(file.getvalue()).decode()


def kinds(manifest: Manifest) -> dict[str, Choices | Numbers]:
    """What each feature may be, in the manifest's order."""
    outside = manifest.out_of_range == "warn"
    values = manifest.example
    return {f.name: _kind(f, values[f.name], outside) for f in manifest.features}


def _kind(feature: Feature, example: Any, outside: bool) -> Choices | Numbers:
    if feature.type == "image":
        return Pictures(feature)
    row: Any = np.array(example)
    if feature.type == "tensor":
        row = to_array(feature, [msgspec.convert(example, json_type(feature))])[0]
    if feature.categories is not None:
        return Choices(feature.categories)
    if feature.element == "bool":
        return Choices((False, True), row.shape)
    if feature.element == "string":
        return Choices([*row.ravel().tolist(), *_TEXTS], row.shape)
    return Numbers(feature, row, outside)


def _spread(feature: Feature, seen: Sequence[Any]) -> tuple[float, float]:
    """What to draw from where there is no range: what the example spans, or from zero to twice it.

    On its side of zero, because a count or an index below zero is nothing a model must answer.
    Bytes are drawn from all there are.
    """
    lowest, highest = feature.limits
    if np.dtype(feature.element).itemsize == 1:
        return lowest, highest
    low, high = min(seen), max(seen)
    if low == high:
        low, high = min(2 * low, 0), max(2 * high, 0)
    if low == high:
        low, high = _PLAIN if np.dtype(feature.element).kind == "f" else _PLAIN_WHOLE
    return max(low, lowest), min(high, highest)
