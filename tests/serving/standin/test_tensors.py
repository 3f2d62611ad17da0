"""JSON to tensors and back without a server: the fast path and the careful one agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.standin import jsonwrite, tensors
from serving.standin.status import ServingError


def careful(flat: list[Any], dtype: str) -> Any:
    return tensors._array([tensors.leaf(item, dtype) for item in flat], dtype)


def outcome(convert: Any, flat: list[Any], dtype: str) -> tuple[Any, str | None]:
    """What ``convert`` makes of the values, bytes and type, or the message it refuses them with."""
    try:
        array = convert(flat, dtype)
    except ServingError as error:
        return None, error.message
    return (array.tobytes(), array.dtype), None


@given(
    st.sampled_from(["float", "double"]),
    st.lists(st.floats(allow_nan=False) | st.integers(-(2**25), 2**25), min_size=1),
)
def test_numbers(dtype: str, flat: list[float]) -> None:
    expected, refusal = outcome(careful, flat, dtype)
    actual, refused = outcome(tensors.to_tensor, flat, dtype)
    assert refused == refusal
    assert actual == expected


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_strings(flat: list[str]) -> None:
    assert tensors.to_tensor(flat, "string").tolist() == [text.encode() for text in flat]


@pytest.mark.parametrize("dtype", list(tensors.DTYPES))
@pytest.mark.parametrize("value", [True, None, {"a": 1}, 1, -1, 1.5, "x", 2**40, 2**63])
def test_every_element_fits_or_is_refused(dtype: str, value: Any) -> None:
    """What a type takes, by AddValueToTensor; nothing is ever converted silently."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    accepted = {
        "float": isinstance(value, float) or (whole and abs(value) < 2**24),
        "double": isinstance(value, float) or (whole and abs(value) < 2**53),
        "int64": whole and value < 2**63,
        "uint32": whole and 0 <= value < 2**32,
        "uint64": whole and value >= 0,
        "bool": isinstance(value, bool),
        "string": isinstance(value, str),
    }.get(dtype, whole and abs(value) < 2**31)
    if accepted:
        assert tensors.to_tensor([value], dtype).dtype == tensors.DTYPES[dtype]
    else:
        with pytest.raises(ServingError):
            tensors.to_tensor([value], dtype)


def test_small_integers_are_cut_as_in_the_original() -> None:
    assert tensors.to_tensor([300, -1], "uint8").tolist() == [44, 255]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        (
            [[1], 2],
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ([[1, 2], [3]], "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ([{"b64": "x"}], 'JSON Value: {\n    "b64": "x"\n} Type: Object is not of expected type'),
    ],
)
def test_irregular_lists(value: Any, message: str) -> None:
    with pytest.raises(ServingError) as caught:
        tensors.to_tensor(value, "float")
    assert caught.value.message.startswith(message)


def test_shapes() -> None:
    assert tensors.to_tensor(3, "int32").shape == ()
    assert tensors.to_tensor([], "float").shape == (0,)
    assert tensors.to_tensor([[], []], "float").shape == (2, 0)
    assert tensors.to_tensor([[[1], [2]]], "float").shape == (1, 2, 1)


@given(st.floats(width=32))
def test_a_written_float_reads_back(value: float) -> None:
    token = jsonwrite.decimal(value, np.dtype(np.float32))
    np.testing.assert_equal(np.float32(token), np.float32(value))


@given(st.floats())
def test_a_written_double_reads_back(value: float) -> None:
    np.testing.assert_equal(float(jsonwrite.decimal(value, np.dtype(np.float64))), value)
