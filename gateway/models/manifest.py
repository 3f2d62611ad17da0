"""The manifest ``model.yaml``: the one definition of a model's payload and of what serves it."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import yaml

from gateway.errors import ModelError
from gateway.models import image_feature

MANIFEST_NAME = "model.yaml"

FeatureType = Literal["integer", "number", "boolean", "string", "tensor", "image"]
#: numpy dtypes a ``tensor`` feature may have.
TensorType = Literal[
    "float16", "float32", "float64", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool", "string",
]  # fmt: skip
_ELEMENTS: dict[FeatureType, TensorType] = {
    "integer": "int64",
    "number": "float32",
    "boolean": "bool",
    "string": "string",
    "tensor": "float32",
    "image": "uint8",
}
#: Longer examples, in bytes of JSON, are left out of a feature's schema.
_MAX_EXAMPLE_BYTES = 10_000
#: What the name of a feature may not hold.
UNSPEAKABLE = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')
#: What the name of a model matches.
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One named value of the descriptive payload.

    ``range`` is what training has seen, lowest and highest, in ``unit``; ``categories`` are the
    only strings allowed, where given. ``shape`` is that of one row of a ``tensor``, None where it
    varies. ``dtype`` is what the value must fit: int64 for integers, float32 for numbers and
    tensors, uint8 for images, unless it says otherwise.

    An ``image`` is decoded to Pillow's ``mode`` (RGB unless it says L) and resized to ``size``,
    height and width; ``layout`` orders the array the graph gets (HWC unless it says otherwise).
    With dtype float32 its values are divided by ``scale``, less ``mean``, divided by ``std``, the
    latter two per channel.

    ``finite`` false takes null for a ``number``, which is NaN: a gap. A ``tensor`` of floats may
    then hold null, too, and its raw bytes NaN and infinities, which JSON cannot spell.
    """

    name: str
    type: FeatureType
    description: str = ""
    unit: str = ""
    range: tuple[float, float] | None = None
    categories: tuple[str, ...] | None = None
    example: Any = None
    shape: tuple[int | None, ...] = ()
    dtype: TensorType | None = None
    mode: image_feature.Mode | None = None
    size: tuple[int, int] | None = None
    layout: image_feature.Layout | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    finite: bool = True

    @property
    def element(self) -> TensorType:
        """The dtype a value, or an element of a tensor, must fit."""
        if self.dtype is not None:
            return self.dtype
        return _ELEMENTS[self.type]

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value the dtype can carry."""
        return _limits(self.element)

    @property
    def allowed(self) -> str:
        """What the feature accepts, in words for an error message."""
        unit = f" ({self.unit})" if self.unit else ""
        if self.type == "string":
            if self.categories is None:
                return "a string"
            return "one of " + ", ".join(f'"{category}"' for category in self.categories)
        if self.type == "boolean":
            return "true or false"
        if self.type == "tensor":
            size = "×".join("any" if size is None else str(size) for size in self.shape)
            return f"nested lists of {self.element} of shape {size or 'scalar'}"
        if self.type == "image":
            return image_feature.allowed(self)
        kind = "a whole number" if self.type == "integer" else "a finite number"
        if not self.finite:
            kind += " or null"
        seen = ""
        if self.range is not None:
            low, high = (format_number(value) for value in self.range)
            seen = f", seen in training: {low}–{high}"
        return f"{kind}{unit}{seen}"

    @property
    def json_schema(self) -> dict[str, Any]:
        """The feature as a JSON Schema (2020-12) property.

        The training range is no bound of the schema, because values outside it are answered; it
        stands under ``x-training-range``.
        """
        schema: dict[str, Any] = {"type": _json_type(self)}
        if self.type == "tensor":
            items: dict[str, Any] = {"type": _json_type(self)}
            for size in reversed(self.shape):
                items = {"type": "array", "items": items}
                if size is not None:
                    items |= {"minItems": size, "maxItems": size}
            schema = items | {"x-dtype": self.element}
        if self.type == "image":
            schema = image_feature.json_schema(self)
        if self.categories is not None:
            schema["enum"] = list(self.categories)
        if self.description:
            schema["description"] = self.description
        if self.unit:
            schema["x-unit"] = self.unit
        if self.range is not None:
            schema["x-training-range"] = list(self.range)
        if self.example is not None and _is_short(self.example):
            schema["examples"] = [self.example]
        return schema

    def check(self) -> None:
        """Raise :class:`ModelError` where the definition contradicts itself."""
        image_feature.check(self)
        if UNSPEAKABLE.search(self.name):
            raise ModelError(
                f"feature {self.name!r}: a name is Unicode without quotes, backslashes or controls"
            )
        if self.range is not None:
            if self.type not in ("integer", "number"):
                raise ModelError(f"feature {self.name}: a {self.type} has no range")
            low, high = self.range
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise ModelError(f"feature {self.name}: range {low}–{high} is not lowest, highest")
            lowest, highest = self.limits
            if not (lowest <= low and high <= highest):
                raise ModelError(
                    f"feature {self.name}: range {low}–{high} does not fit in {self.element}"
                )
        floats = self.type in ("number", "tensor") and self.element.startswith("float")
        if not self.finite and not floats:
            raise ModelError(f"feature {self.name}: finite is for numbers and tensors of floats")
        if self.categories is not None:
            if self.type != "string":
                raise ModelError(f"feature {self.name}: a {self.type} has no categories")
            if not self.categories or len(set(self.categories)) < len(self.categories):
                raise ModelError(f"feature {self.name}: categories are empty or repeat themselves")


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One named result per row; ``shape`` is that of one row, () for a scalar.

    With ``labels`` the answer also says which of them it is: of a vector of as many values the
    largest one's; of one probability the second where it reaches ``threshold`` (0.5), else the
    first.
    """

    name: str
    description: str = ""
    unit: str = ""
    shape: tuple[int | None, ...] = ()
    labels: tuple[str, ...] | None = None
    threshold: float | None = None

    def check(self) -> None:
        """Raise :class:`ModelError` where the definition contradicts itself."""
        where = f"output {self.name}"
        if self.labels is None:
            if self.threshold is not None:
                raise ModelError(f"{where}: a threshold needs labels")
            return
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels):
            raise ModelError(f"{where}: labels must be two or more, each another")
        if not self.shape:
            if len(self.labels) != 2:
                raise ModelError(f"{where}: one probability has two labels, or a shape is missing")
        elif len(self.shape) > 1 or self.shape[0] not in (None, len(self.labels)):
            raise ModelError(f"{where}: its shape must be [{len(self.labels)}], a value per label")
        elif self.threshold is not None:
            raise ModelError(f"{where}: a threshold is for one probability, not for several")


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far two backends of one lineage may differ, in the output's unit."""

    absolute: float = 1e-4


class Batching(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How requests are put together for one call to a backend.

    ``max_batch_size`` and ``max_queue_size`` count rows. ``max_queue_wait_ms`` bounds how long what
    waits for a backend will take it: beyond that further requests are refused at once.
    ``max_queue_delay_ms`` lets a batch wait to fill up, for engines that are much faster on large
    ones; 0 never waits.
    """

    max_batch_size: Annotated[int, msgspec.Meta(ge=1)] = 256
    max_queue_size: Annotated[int, msgspec.Meta(ge=1)] = 50_000
    max_queue_wait_ms: Annotated[float, msgspec.Meta(gt=0)] = 500.0
    max_queue_delay_ms: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0


class BackendSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one backend finds the model: per lineage the options of its adapter."""

    lineages: dict[str, dict[str, Any]]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's payload, results and backends. The first lineage of a backend is its default.

    ``batched`` says that the first dimension of all the graph's inputs and outputs is the row; a
    feature's and an output's ``shape`` leaves it out. Without it each instance is one call, its
    arrays as they are. ``warm_up`` false means that there is no example the model answers, so
    that it is ready without having answered one.
    """

    name: str
    features: tuple[Feature, ...]
    outputs: tuple[Output, ...]
    backends: dict[str, BackendSpec]
    description: str = ""
    parity: Parity = Parity()
    batching: Batching = Batching()
    out_of_range: Literal["warn", "reject"] = "warn"
    batched: bool = True
    warm_up: bool = True

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read and check ``folder/model.yaml``; raises :class:`ModelError` saying what is wrong."""
        path = folder / MANIFEST_NAME
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            manifest = msgspec.convert(content, cls)
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise ModelError(f"{path}: {error}") from error
        try:
            manifest.check()
        except ModelError as error:
            raise ModelError(f"{path}: {error.detail}") from error
        return manifest

    @property
    def gaps(self) -> frozenset[str]:
        """The features that may hold NaN."""
        return frozenset(feature.name for feature in self.features if not feature.finite)

    def check(self) -> None:
        """Raise :class:`ModelError` where the manifest contradicts itself."""
        if not re.fullmatch(NAME, self.name):
            raise ModelError(f"name {self.name!r} must match {NAME}")
        if not self.outputs or not self.backends or (self.batched and not self.features):
            raise ModelError("features, outputs and backends may not be empty")
        for kind, entries in (("feature", self.features), ("output", self.outputs)):
            repeated = [n for n, k in Counter(e.name for e in entries).items() if k > 1]
            if repeated:
                raise ModelError(f"{kind} {repeated[0]} is defined twice")
        for feature in self.features:
            if feature.name == "instances":
                raise ModelError("a feature may not be named 'instances': it marks a batch")
            feature.check()
        for output in self.outputs:
            output.check()
        taken = {output.name for output in self.outputs}.intersection(self.label_keys.values())
        if taken:
            raise ModelError(f"output {taken.pop()} has the name of another's label")
        for name, backend in self.backends.items():
            if not backend.lineages:
                raise ModelError(f"backend {name} names no lineage")

    @property
    def images(self) -> tuple[Feature, ...]:
        """The features that are pictures."""
        return tuple(feature for feature in self.features if feature.type == "image")

    @property
    def label_keys(self) -> dict[str, str]:
        """By output with labels the key of the label in an answer."""
        names = [output.name for output in self.outputs if output.labels]
        return {names[0]: "label"} if len(names) == 1 else {n: f"{n}_label" for n in names}

    @property
    def example(self) -> dict[str, Any]:
        """One payload made of the features' examples, or of plain values where none is given."""
        return {feature.name: _example(feature) for feature in self.features}

    @property
    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of one row."""
        return {
            "type": "object",
            "properties": {feature.name: feature.json_schema for feature in self.features},
            "required": [feature.name for feature in self.features],
            "additionalProperties": False,
        }


@cache
def _limits(element: TensorType) -> tuple[float, float]:
    """Kept, because numpy makes them anew each time, which takes microseconds."""
    dtype = np.dtype(element)
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _json_type(feature: Feature) -> str | list[str]:
    """JSON Schema's type of a value, of an element of a tensor."""
    if feature.type != "tensor":
        return feature.type if feature.finite else [feature.type, "null"]
    if feature.element == "string":
        return "string"
    kinds = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}
    kind = kinds[np.dtype(feature.element).kind]
    return kind if feature.finite else [kind, "null"]


def _example(feature: Feature) -> Any:
    if feature.example is not None:
        return feature.example
    if feature.type == "string":
        return feature.categories[0] if feature.categories else ""
    if feature.type == "boolean":
        return False
    if feature.type == "image":
        return image_feature.blank(feature)
    if feature.type == "tensor":
        zero = "" if feature.element == "string" else np.zeros((), feature.element).item()
        sizes = [1 if size is None else size for size in feature.shape]
        return np.full(sizes, zero, dtype=object).tolist()
    low = feature.range[0] if feature.range is not None else 0
    return int(low) if feature.type == "integer" else float(low)


def _is_short(example: Any) -> bool:
    """Whether an example helps those who read a schema; a picture's numbers do not."""
    return len(msgspec.json.encode(example)) <= _MAX_EXAMPLE_BYTES


def format_number(value: float) -> str:
    """``12`` for 12.0 and ``1.5`` for 1.5: numbers as people write them."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
