"""JSON as TensorFlow Serving writes it: RapidJSON's ``PrettyWriter``, four spaces of indentation.

A document is a tree of dicts and lists whose leaves are finished JSON tokens (``str``). Source of
the number format: ``tensorflow_serving/util/json_tensor.cc``, ``WriteDecimal``.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

#: Significant digits that keep a value: ``std::numeric_limits<T>::max_digits10``.
_MAX_DIGITS10 = {np.dtype(np.float32): 9, np.dtype(np.float64): 17}


def decimal(value: float, dtype: np.dtype[Any]) -> str:
    """A float32 or float64 as a token: six digits if they suffice to read it back, else all.

    ``2.5``, ``3.0``, ``9e+06``, ``0.699999988``; ``NaN``, ``Infinity`` and ``-Infinity`` stand
    bare.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    token = f"{value:g}"
    if float(dtype.type(token)) != value:
        token = f"{value:.{_MAX_DIGITS10[dtype]}g}"
    return token if "." in token or "e" in token else token + ".0"


def string(value: str) -> str:
    """A string as a token; only what JSON demands is escaped, UTF-8 stays as it is."""
    return json.dumps(value, ensure_ascii=False)


def scalar(value: Any) -> str:
    """A parsed JSON scalar as a token, for error messages that echo it."""
    if isinstance(value, str):
        return string(value)
    if isinstance(value, float):
        fits = abs(value) <= float(np.finfo(np.float32).max) or not math.isfinite(value)
        dtype = np.dtype(np.float32 if fits else np.float64)
        return decimal(float(dtype.type(value)), dtype)
    return json.dumps(value)


def tokens(value: Any) -> Any:
    """A parsed JSON value as a tree of tokens, ready for :func:`render`."""
    if isinstance(value, dict):
        return {name: tokens(member) for name, member in value.items()}
    if isinstance(value, list):
        return [tokens(item) for item in value]
    return scalar(value)


def render(node: Any, depth: int = 0, inline: bool = False) -> str:
    """The text of a tree of tokens at ``depth`` levels of nesting.

    ``inline`` keeps lists on one line (``kFormatSingleLineArray``); objects never are.
    """
    if isinstance(node, str):
        return node
    if not node:
        return "{}" if isinstance(node, dict) else "[]"
    inner, outer = "    " * (depth + 1), "    " * depth
    if isinstance(node, dict):
        members = (
            f"{inner}{string(name)}: {render(member, depth + 1, inline)}"
            for name, member in node.items()
        )
        return "{\n" + ",\n".join(members) + f"\n{outer}}}"
    items = [render(item, depth + 1, inline) for item in node]
    if inline:
        return "[" + ", ".join(items) + "]"
    return "[\n" + ",\n".join(inner + item for item in items) + f"\n{outer}]"


def echo(value: Any) -> str:
    """A parsed JSON value as it stands in an error message."""
    return render(tokens(value))
