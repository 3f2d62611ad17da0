"""The rows that are sent, drawn from what the manifest says of the features."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from gateway.models.manifest import Feature, Manifest

Row = dict[str, Any]


def draw_rows(manifest: Manifest, count: int, seed: int = 0) -> list[Row]:
    """``count`` rows inside the training ranges, the same for the same seed."""
    source = random.Random(seed)
    return [
        {feature.name: _draw(feature, source) for feature in manifest.features}
        for _ in range(count)
    ]


def _draw(feature: Feature, source: random.Random) -> Any:
    if feature.type == "boolean":
        return source.random() < 0.5
    if feature.categories is not None:
        return source.choice(feature.categories)
    if feature.type == "tensor" or feature.range is None:
        raise ValueError(f"{feature.name}: neither a range nor categories to draw from")
    low, high = feature.range
    if feature.type == "integer":
        return source.randint(round(low), round(high))
    return round(source.uniform(low, high), 1)


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The values by feature."""
    return {name: [row[name] for row in rows] for name in rows[0]}
