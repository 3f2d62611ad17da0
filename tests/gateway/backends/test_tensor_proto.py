"""TensorProto against TensorFlow's own reading and writing of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tensorflow.core.framework.tensor_pb2 import TensorProto

from gateway.backends.tensor_proto import as_type, fill, to_array

KINDS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64",
         "uint8", "uint16", "uint32", "uint64", "bool")  # fmt: skip
shapes = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
numeric = st.sampled_from(KINDS).flatmap(lambda kind: arrays(kind, shapes))
texts = arrays(object, shapes, elements=st.text(max_size=5))


@given(numeric)
def test_tensorflow_reads_what_is_written(array: Any) -> None:
    proto = TensorProto()
    fill(proto, array)
    theirs = tf.make_ndarray(proto)
    assert theirs.dtype == array.dtype
    np.testing.assert_array_equal(theirs, array)


@given(numeric)
def test_what_tensorflow_writes_is_read(array: Any) -> None:
    ours = to_array(tf.make_tensor_proto(array))
    assert ours.dtype == array.dtype
    np.testing.assert_array_equal(ours, array)


@given(st.sampled_from(KINDS).flatmap(lambda kind: arrays(kind, 3)), st.integers(1, 3))
def test_values_of_a_field_repeat_the_last(array: Any, count: int) -> None:
    field = {"e": "half_val", "f": "float_val", "d": "double_val", "?": "bool_val",
             "q": "int64_val", "l": "int64_val", "Q": "uint64_val", "L": "uint64_val",
             "I": "uint32_val"}.get(array.dtype.char, "int_val")  # fmt: skip
    proto = TensorProto(dtype=tf.dtypes.as_dtype(array.dtype).as_datatype_enum)
    proto.tensor_shape.dim.add(size=3)
    values = array.view("uint16") if field == "half_val" else array
    getattr(proto, field).extend(values[:count].tolist())
    ours = to_array(proto)
    assert ours.dtype == array.dtype
    np.testing.assert_array_equal(ours, tf.make_ndarray(proto))


@given(texts)
def test_text(array: Any) -> None:
    proto = TensorProto()
    fill(proto, array)
    expected = [text.encode() for text in array.ravel()]
    assert tf.make_ndarray(proto).ravel().tolist() == expected
    np.testing.assert_array_equal(to_array(proto), array)
    assert to_array(proto).shape == array.shape


def test_arrays_that_are_not_in_c_order() -> None:
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    proto = TensorProto()
    fill(proto, array)
    np.testing.assert_array_equal(tf.make_ndarray(proto), array)


def test_bfloat16_becomes_float32() -> None:
    wide = tf.constant([1.5, -2.0, 3e38], tf.float32)
    proto = tf.make_tensor_proto(tf.cast(wide, tf.bfloat16).numpy())
    expected = tf.cast(tf.cast(wide, tf.bfloat16), tf.float32).numpy()
    assert to_array(proto).dtype == np.float32
    np.testing.assert_array_equal(to_array(proto), expected)


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert to_array(tf.make_tensor_proto([b"\xff", "é".encode()])).tolist() == ["\\xff", "é"]


@pytest.mark.parametrize(
    ("dtype", "sizes", "content"),
    [
        (1, [2], b"\0\0\0\0"),
        (1, [-1], b"\0\0\0\0"),
        (1, [1], b"\0\0\0"),
        (8, [1], b"\0" * 8),  # complex64
        (0, [1], b""),
        (99, [1], b""),
    ],
)
def test_what_cannot_be_read(dtype: int, sizes: list[int], content: bytes) -> None:
    proto = TensorProto(tensor_content=content)
    proto.dtype = dtype  # enums are open: a number nobody has named travels, too
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError, match=r"tensor|array|buffer"):
        to_array(proto)


def test_more_values_than_the_shape_has_room_for() -> None:
    proto = TensorProto(dtype=tf.float32.as_datatype_enum, float_val=[1.0, 2.0])
    proto.tensor_shape.dim.add(size=1)
    with pytest.raises(ValueError, match="reshape"):
        to_array(proto)


@pytest.mark.parametrize(
    ("values", "wanted", "becomes"),
    [
        (np.array([1.5, -2.0]), tf.float32, "float32"),
        (np.array([1, -2]), tf.float32, "float32"),
        (np.array([1, 255]), tf.uint8, "uint8"),
        (np.array([1, 256]), tf.uint8, "int64"),  # would wrap around
        (np.array([1.5]), tf.int32, "float64"),  # would lose its fraction
        (np.array([1e300]), tf.float32, "float64"),  # would become infinite
        (np.array([1]), tf.bool, "int64"),
        (np.array([True]), tf.float32, "bool"),
        (np.array(["a"], object), tf.float32, "object"),
        (np.array([1]), tf.string, "int64"),
        (np.empty(0), tf.float32, "float32"),
    ],
)
def test_only_what_stays_true_is_cast(values: Any, wanted: Any, becomes: str) -> None:
    cast = as_type(values, wanted.as_datatype_enum)
    assert cast.dtype == becomes
    np.testing.assert_array_equal(cast, values)
