"""What is sent to a model, made from its manifest: the load generators' and the comparison's rows.

A payload is one row as a client spells it: a JSON object of features, Python's plain values. All
but those of :func:`bad` are taken by the model's validator; none needs to know which model it is.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from gateway.models.manifest import Feature, Manifest
from loadtests.payload_file import from_file as from_file
from loadtests.payload_values import kinds

Payload = dict[str, Any]


class Bad(NamedTuple):
    """A body that must be refused with ``status``; ``name`` says what is wrong with it."""

    name: str
    body: bytes
    status: int


def examples(manifest: Manifest) -> list[Payload]:
    """The manifest's own example: a model that cannot answer it is not served."""
    return [manifest.example]


def edges(manifest: Manifest) -> list[Payload]:
    """The ends of what the features may be, one feature at a time, and all at once.

    Around the example and around the middle of all ranges, because a network that the example
    saturates shows nothing: each number's lowest and highest, zero where the range holds it, and
    just outside both ends where such values are answered (``out_of_range: warn``); every category,
    true and false, tensors of the lowest, the highest and zeros. Unknown categories are always
    refused, so they are among :func:`bad`. Each payload once.
    """
    known = kinds(manifest)
    found = []
    for base in (manifest.example, {name: kind.middle for name, kind in known.items()}):
        found.append(base)
        found += [base | {name: edge} for name, kind in known.items() for edge in kind.edges]
    found += [{name: kind.edges[end] for name, kind in known.items()} for end in (0, 1)]
    return list({msgspec.json.encode(payload): payload for payload in found}.values())


def generated(manifest: Manifest, count: int, seed: int = 0) -> list[Payload]:
    """``count`` payloads, each feature drawn for itself, the same for the same seed.

    Uniform inside the training range; without one, between zero and twice the example. Categories
    and truth values are equally frequent. The first of more are those of fewer.
    """
    random = np.random.default_rng(seed)
    known = kinds(manifest)
    return [{name: kind.draw(random) for name, kind in known.items()} for _ in range(count)]


def redrawn(
    manifest: Manifest, payloads: Sequence[Payload], feature: str, seed: int = 0
) -> list[Payload]:
    """The same payloads with one feature drawn anew, as :func:`generated` draws it."""
    random = np.random.default_rng(seed)
    kind = kinds(manifest)[feature]
    return [payload | {feature: kind.draw(random)} for payload in payloads]


def body(payloads: Sequence[Payload]) -> bytes:
    """The request's body: the payload itself where it is one, else ``{"instances": […]}``."""
    if len(payloads) == 1:
        return msgspec.json.encode(payloads[0])
    return msgspec.json.encode({"instances": payloads})


def bad(manifest: Manifest) -> list[Bad]:
    """Bodies that must be refused: 400 where they are no request at all, 422 where they misfit."""
    good = manifest.example
    first = manifest.features[0].name
    unknown = "x" + max(good, key=len)
    whole = body([good])
    cases = [
        Bad("empty body", b"", 400),
        Bad("broken JSON", whole[:-1], 400),
        Bad("not UTF-8", b'{"\xff": 1}', 400),
        Bad("not an object", b"[1, 2]", 400),
        Bad("nested too deeply", b"[" * 10_000, 400),
        Bad("no instances", b'{"instances": []}', 422),
        Bad("instances not a list", b'{"instances": {}}', 422),
        Bad("instance not an object", b'{"instances": [1]}', 422),
        Bad("something beside instances", b'{"instances": [' + whole + b'], "other": 1}', 422),
        Bad("unknown feature", body([good | {unknown: 1}]), 422),
        Bad("missing feature", body([{k: v for k, v in good.items() if k != first}]), 422),
    ]
    for feature in manifest.features:
        for fault, spelled in _misfits(feature, good[feature.name], manifest.out_of_range):
            parts = (
                json.dumps(name) + ": " + (spelled if name == feature.name else json.dumps(value))
                for name, value in good.items()
            )
            text = "{" + ", ".join(parts) + "}"
            cases.append(Bad(f"{feature.name}: {fault}", text.encode(), 422))
    return cases


def _misfits(feature: Feature, good: Any, out_of_range: str) -> Iterable[tuple[str, str]]:
    """What does not fit the feature, as JSON text: some of it only JSON text can spell."""
    yield "null", "null"
    yield "wrong type", "1" if feature.element == "string" else '"one"'
    yield "a list too many", json.dumps([good])
    if feature.categories is not None:
        yield "unknown category", json.dumps("x" + max(feature.categories, key=len))
    elif feature.type == "string":
        yield "no Unicode", '"\\ud800"'
    if feature.type in ("integer", "number"):
        yield "NaN", "NaN"
        yield "beyond all numbers", "1e999"
        if feature.type == "integer":
            yield "a fraction", "0.5"
        if feature.range is not None and out_of_range == "reject":
            yield "outside the range", json.dumps(math.ceil(feature.range[1]) + 1)
    if feature.type == "tensor" and feature.shape and feature.element != "string":
        yield "no base64", '{"b64": "!"}'
    if feature.type == "image":
        picture = base64.b64decode(good["b64"] if isinstance(good, dict) else good)
        for fault, content in (
            ("no picture", b"no picture"),
            ("half a picture", picture[: len(picture) // 2]),
        ):
            yield fault, json.dumps(base64.b64encode(content).decode())
