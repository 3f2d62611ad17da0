"""Tensors as raw bytes in base64, beside nested lists."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.errors import InvalidInput
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.validator import Validator


def validator(**options: Any) -> Validator:
    feature = Feature("x", "tensor", **options)
    backends = {"onnx": BackendSpec({"only": {}})}
    return Validator(Manifest("m", (feature,), (Output("y"),), backends))


def raw(array: Any) -> dict[str, str]:
    return {"b64": base64.b64encode(np.asarray(array).tobytes()).decode()}


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "uint16", "int64", "bool"]
)
def test_raw_bytes_and_lists_are_the_same(dtype: Any) -> None:
    array = (np.arange(6).reshape(2, 3) % 2).astype(dtype)
    check = validator(shape=(2, 3), dtype=dtype)
    body = {"instances": [{"x": array.tolist()}, {"x": raw(array)}]}
    rows = check.decode(json.dumps(body).encode())
    assert rows.columns["x"].dtype == array.dtype
    np.testing.assert_array_equal(rows.columns["x"], np.stack([array, array]))
    again = check.decode(msgspec.json.encode({"instances": rows.objects}))
    np.testing.assert_array_equal(again.columns["x"], rows.columns["x"])


def test_one_dimension_may_vary() -> None:
    check = validator(shape=(None, 2))
    rows = check.decode(json.dumps({"x": raw(np.ones((5, 2), np.float32))}).encode())
    assert rows.columns["x"].shape == (1, 5, 2)


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"shape": (2,)}, raw(np.ones(3, np.float32))),
        ({"shape": (2,)}, {"b64": "AAA"}),
        ({"shape": (2,)}, {"b64": "!!!!"}),
        ({"shape": (2,)}, {"b64": 3}),
        ({"shape": (2,)}, {"b64": "", "more": 1}),
        ({"shape": (2,)}, raw(np.array([1, np.nan], np.float32))),
        ({"shape": (2,)}, raw(np.array([1, np.inf], np.float32))),
        ({"shape": (None, None)}, raw(np.ones(4, np.float32))),
        ({"shape": (1,), "dtype": "string"}, {"b64": "aGk="}),
    ],
)
def test_raw_bytes_that_do_not_fit(options: dict[str, Any], value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        validator(**options).decode(json.dumps({"x": value}).encode())
    assert caught.value.errors[0].field == "x"


def test_rows_that_differ_in_shape_are_refused() -> None:
    body = {"instances": [{"x": raw(np.ones(n, np.float32))} for n in (1, 2)]}
    with pytest.raises(InvalidInput, match="shape"):
        validator(shape=(None,)).decode(json.dumps(body).encode())
