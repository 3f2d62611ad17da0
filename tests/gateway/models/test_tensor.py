"""Tensors as raw bytes in base64, beside nested lists."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


NUMBERS = ["int8", "uint8", "int32", "int64", "uint64", "float16", "float32", "float64"]


@given(st.data())
def test_lists_of_numbers_are_what_numpy_makes_of_them(data: st.DataObject) -> None:
    """Whichever way they are read: plain, with 75.0 among whole numbers, several rows at once."""
    dtype: Any = data.draw(st.sampled_from(NUMBERS))
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    check = validator(shape=tuple(sizes), dtype=dtype)
    low, high = check.manifest.features[0].limits
    whole = st.integers(int(low), int(high))
    numbers: st.SearchStrategy[Any] = whole
    if dtype.startswith("float"):
        numbers = st.floats(low, high) | st.integers(-1000, 1000)
    elif data.draw(st.booleans()):
        numbers = whole | st.integers(max(int(low), -100), 100).map(float)
    count = data.draw(st.integers(1, 3))
    flat = data.draw(st.lists(numbers, min_size=(n := count * int(np.prod(sizes))), max_size=n))
    expected = np.array(flat, object).astype(dtype).reshape(count, *sizes)
    nested = np.array(flat, object).reshape(count, *sizes).tolist()
    objects = [{"x": value} for value in nested]
    body = json.dumps({"instances": objects}).encode()
    for rows in (check.decode(body), check.convert(objects)):
        assert rows.columns["x"].dtype == expected.dtype
        np.testing.assert_array_equal(rows.columns["x"], expected)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_one_number_beyond_the_dtype_is_refused(dtype: Any) -> None:
    check = validator(shape=(2, 2), dtype=dtype)
    low, high = check.manifest.features[0].limits
    if dtype == "float64":
        beyond: list[Any] = [-(10**309), 10**309]
    elif dtype.startswith("float"):
        beyond = [math.nextafter(low, -math.inf), math.nextafter(high, math.inf)]
    else:
        beyond = [low - 1, high + 1]
    for value in beyond:
        body = json.dumps({"instances": [{"x": [[0, 1], [1, 0]]}, {"x": [[0, 1], [value, 0]]}]})
        with pytest.raises(InvalidInput) as caught:
            check.decode(body.encode())
        (error,) = caught.value.errors
        assert error.field == "x"


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


def test_raw_bytes_may_say_their_shape() -> None:
    check = validator(shape=(None, None, 2), dtype="int64")
    array = np.arange(12).reshape(3, 2, 2)
    rows = check.decode(json.dumps({"x": raw(array) | {"shape": [3, 2, 2]}}).encode())
    np.testing.assert_array_equal(rows.columns["x"], array[np.newaxis])
    for value in (
        raw(array),
        raw(array) | {"shape": [3, 2]},
        raw(array) | {"shape": [2, 2, 2]},
        raw(array) | {"shape": [3, 4, 1]},
        raw(array) | {"shape": [-1, 2, 2]},
        raw(array) | {"shape": [2**80, 2, 2]},
    ):
        with pytest.raises(InvalidInput):
            check.decode(json.dumps({"x": value}).encode())
    with pytest.raises(InvalidInput, match="need their shape"):
        check.decode(json.dumps({"x": raw(array)}).encode())


def test_numbers_that_are_not_finite_where_the_manifest_allows_them() -> None:
    check = validator(shape=(3,), finite=False)
    rows = check.decode(b'{"instances": [{"x": [1, null, 2]}, {"x": [null, null, null]}]}')
    nan = np.nan
    np.testing.assert_array_equal(rows.columns["x"], [[1, nan, 2], [nan, nan, nan]])
    rows = check.decode(json.dumps({"x": raw(np.array([nan, np.inf, 1], np.float32))}).encode())
    np.testing.assert_array_equal(rows.columns["x"], [[nan, np.inf, 1]])
    again = check.decode(msgspec.json.encode(rows.objects[0]))
    np.testing.assert_array_equal(again.columns["x"], rows.columns["x"])
    for value in ("[1, null, 1e39]", "[1, NaN, 1]", "[1, null]", "null"):
        with pytest.raises(InvalidInput):
            check.decode(f'{{"x": {value}}}'.encode())


@pytest.mark.parametrize(
    ("shape", "value", "full"),
    [
        ((None, 3), [], (0, 3)),
        ((2, None), [[], []], (2, 0)),
        ((None, None, 4), [[]], (1, 0, 4)),
        ((0,), [], (0,)),
        ((2,), [], None),
        ((None,), [[]], None),
    ],
)
def test_lists_without_elements(shape: Any, value: Any, full: Any) -> None:
    for dtype in ("float32", "int64", "bool", "string"):
        check, body = validator(shape=shape, dtype=dtype), json.dumps({"x": value}).encode()
        if full is None:
            with pytest.raises(InvalidInput):
                check.decode(body)
        else:
            assert check.decode(body).columns["x"].shape == (1, *full)


def test_rows_that_differ_in_shape_are_refused() -> None:
    body = {"instances": [{"x": raw(np.ones(n, np.float32))} for n in (1, 2)]}
    with pytest.raises(InvalidInput, match="shape"):
        validator(shape=(None,)).decode(json.dumps(body).encode())


@pytest.mark.parametrize("spell", [np.ndarray.tolist, raw])
@pytest.mark.parametrize("parsed", [False, True])
def test_instances_of_different_shapes_are_named_and_sent_apart(spell: Any, parsed: bool) -> None:
    check = validator(shape=(None,))
    rows = [{"x": spell(np.ones(n, np.float32))} for n in (2, 2, 3, 1)]
    body = msgspec.json.encode({"instances": rows})
    with pytest.raises(InvalidInput) as caught:
        _ = check.convert(rows, "/instances/{}") if parsed else check.decode(body)
    (error,) = caught.value.errors
    assert (error.pointer, error.kind) == ("/instances/2/x", "shape")
    assert error.detail.startswith("has shape 3, the instance before it 2: send instances")
    assert "separate requests" in error.detail


def test_a_row_that_is_ragged_itself_is_named_as_such() -> None:
    check = validator(shape=(None, None))
    rows = [{"x": [[1, 2], [3, 4]]}, {"x": [[1, 2], [3]]}]
    with pytest.raises(InvalidInput) as caught:
        check.decode(msgspec.json.encode({"instances": rows}))
    (error,) = caught.value.errors
    assert (error.pointer, error.detail) == ("/instances/1/x", "its lists are ragged")


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_lists_of_lists_of_several_lengths_are_ragged_even_if_the_sum_fits(dtype: Any) -> None:
    check = validator(shape=(3, 2, 1), dtype=dtype)
    one = dtype == "bool" or 1
    value = [[[one], [one]], [[one]], [[one], [one], [one]]]
    with pytest.raises(InvalidInput) as caught:
        check.decode(msgspec.json.encode({"x": value}))
    assert [error.detail for error in caught.value.errors] == ["its lists are ragged"]
