"""Writing of ``model.yaml``: the definition, with the ranges that training has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from gateway.models.manifest import Feature, Manifest

_HEADER = """\
# The manifest of the model {name}: the one definition of its payload and of what serves it.
# Written by `python -m serving build {name}`; change the definition under serving/ and build
# again. `range` is what training has seen, lowest and highest, rounded outward.

"""

#: Sections that stand in the file only where they say something.
_SELDOM = ("batching", "batched", "warm_up")


def with_ranges(manifest: Manifest, seen: Mapping[str, tuple[float, float]]) -> Manifest:
    """The manifest with the range of every feature in `seen`, exact for integers.

    Other numbers are rounded outward to the second digit of their span, so that people can
    read them and another seed seldom changes them.
    """
    features = tuple(
        msgspec.structs.replace(feature, range=_rounded(feature, *seen[feature.name]))
        if feature.name in seen
        else feature
        for feature in manifest.features
    )
    return msgspec.structs.replace(manifest, features=features)


def to_yaml(manifest: Manifest, header: str = _HEADER) -> str:
    """The text of ``model.yaml``; what has its default value is left out, except two settings.

    ``parity`` and ``out_of_range`` are spelled out, because readers look for them. ``header`` is
    the comment above, with ``{name}`` for the model's name.
    """
    content: dict[str, Any] = {
        "name": manifest.name,
        "description": manifest.description,
        "features": [_given(feature) for feature in manifest.features],
        "outputs": [_given(output) for output in manifest.outputs],
        "parity": msgspec.to_builtins(manifest.parity),
        "out_of_range": manifest.out_of_range,
        "backends": msgspec.to_builtins(manifest.backends),
    }
    content |= {name: value for name, value in _given(manifest).items() if name in _SELDOM}
    sections = (
        yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        for key, value in content.items()
    )
    return header.format(name=manifest.name) + "\n".join(sections)


def _rounded(feature: Feature, low: float, high: float) -> tuple[float, float]:
    if feature.type == "integer" or low == high:
        return low, high
    step = 10.0 ** (math.floor(math.log10(high - low)) - 1)
    # The last rounding only removes binary dust such as 0.30000000000000004.
    return round(math.floor(low / step) * step, 9), round(math.ceil(high / step) * step, 9)


def _given(entry: msgspec.Struct) -> dict[str, Any]:
    """The fields of an entry that differ from their default, in order; whole numbers of a range
    as integers."""
    fields = {}
    for field in msgspec.structs.fields(entry):
        value = getattr(entry, field.name)
        if value != field.default:
            value = _given(value) if isinstance(value, msgspec.Struct) else value
            fields[field.encode_name] = _items(value) if isinstance(value, tuple) else value
    return fields


def _items(values: tuple[Any, ...]) -> list[Any]:
    whole = [isinstance(value, float) and value.is_integer() for value in values]
    return [
        int(value) if is_whole else value for value, is_whole in zip(values, whole, strict=True)
    ]


class _Dumper(yaml.SafeDumper):
    """Indents lists under their key and writes lists of scalars on one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)


def _represent_list(dumper: _Dumper, values: list[Any]) -> yaml.Node:
    flow = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flow)


_Dumper.add_representer(list, _represent_list)
