"""Payloads: what is taken, what is refused, and that the fast and the exact way agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, InvalidInput, InvalidRequest
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.rows import Rows
from gateway.models.validator import Validator
from tests.conftest import MIXED

MANIFEST = msgspec.convert(MIXED, Manifest)
VALIDATOR = Validator(MANIFEST, max_instances=5)
GOOD: dict[str, Any] = {"count": 2, "size": 0.5, "big": True, "name": "b"}


def body(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def tensor_validator(**options: Any) -> Validator:
    feature = Feature("x", "tensor", **options)
    backends = {"onnx": BackendSpec({"only": {}})}
    return Validator(Manifest("m", (feature,), (Output("y"),), backends))


def test_one_object_becomes_typed_columns() -> None:
    rows = VALIDATOR.decode(body())
    assert rows.count == 1
    assert [column.dtype.kind for column in rows.columns.values()] == ["i", "f", "b", "O"]
    assert msgspec.to_builtins(rows.objects) == [GOOD]
    assert rows.warnings == []
    assert rows.outside == {}


def test_instances_become_one_row_each_in_order() -> None:
    rows = VALIDATOR.decode(
        json.dumps({"instances": [GOOD | {"count": i} for i in range(5)]}).encode()
    )
    assert rows.count == 5
    assert rows.columns["count"].tolist() == [0, 1, 2, 3, 4]
    assert rows.slice(3, 9).columns["count"].tolist() == [3, 4]


@pytest.mark.parametrize("spelling", ["2", "2.0", "2e0"])
def test_a_whole_number_may_be_spelled_as_json_allows(spelling: str) -> None:
    rows = VALIDATOR.decode(body().replace(b'"count": 2', f'"count": {spelling}'.encode()))
    assert rows.columns["count"].dtype == np.int64
    assert rows.columns["count"].tolist() == [2]


def test_values_outside_the_training_range_are_warned_of() -> None:
    assert VALIDATOR.decode(body(count=75)).warnings == [
        "count: 75 is outside the training range 0–10"
    ]
    batch = {"instances": [GOOD, GOOD | {"size": 2.25}]}
    assert VALIDATOR.decode(json.dumps(batch).encode()).warnings == [
        "instances/1/size: 2.25 is outside the training range -1.5–1.5"
    ]


def test_values_outside_the_training_range_are_counted_by_feature() -> None:
    assert VALIDATOR.decode(body(count=75)).outside == {"count": 1}
    batch = {"instances": [GOOD | {"count": 11, "size": 2}, GOOD, GOOD | {"count": -1}]}
    assert VALIDATOR.decode(json.dumps(batch).encode()).outside == {"count": 2, "size": 1}


def test_or_refused_where_the_manifest_says_so() -> None:
    strict = Validator(msgspec.structs.replace(MANIFEST, out_of_range="reject"))
    with pytest.raises(InvalidInput, match="count: is outside the training range") as caught:
        strict.decode(body(count=75))
    assert [error.kind for error in caught.value.errors] == ["range"]
    assert strict.decode(body(count=10)).count == 1


def test_warnings_are_bounded() -> None:
    wide = Validator(MANIFEST)
    batch = {"instances": [GOOD | {"count": 99}] * 300}
    rows = wide.decode(json.dumps(batch).encode())
    assert len(rows.warnings) == 101
    assert rows.warnings[-1] == "200 more values are outside their training range"
    assert rows.outside == {"count": 300}


def test_warnings_of_a_single_row_are_bounded() -> None:
    features = tuple(Feature(f"f{i}", "number", range=(0, 1)) for i in range(150))
    manifest = Manifest("m", features, (Output("y"),), {"onnx": BackendSpec({"a": {}})})
    rows = Validator(manifest).decode(json.dumps({f.name: 2 for f in features}).encode())
    assert len(rows.warnings) == 101
    assert rows.warnings[-1] == "50 more values are outside their training range"
    assert sum(rows.outside.values()) == 150


BAD_FIELDS: list[tuple[str, str, str, str, str]] = [
    ('"count": "22"', "count", "type", "is a string, not a number", '"22"'),
    ('"count": true', "count", "type", "is a boolean, not a number", "true"),
    ('"count": null', "count", "type", "is null, not a number", "null"),
    ('"count": 2.5', "count", "type", "is not a whole number", "2.5"),
    ('"count": NaN', "count", "dtype", "is no number that can be computed with", "NaN"),
    ('"count": 1e999', "count", "dtype", "is no number that can be computed with", "1e999"),
    (
        '"count": 9223372036854775808',
        "count",
        "dtype",
        "does not fit in int64",
        "9223372036854775808",
    ),
    ('"size": 1e39', "size", "dtype", "does not fit in float32", "1e+39"),
    ('"size": -Infinity', "size", "dtype", "is no number that can be computed with", "-Infinity"),
    ('"size": [1]', "size", "type", "is a list, not a number", "a list of 1"),
    ('"size": {}', "size", "type", "is an object, not a number", "an object of 0"),
    ('"big": 1', "big", "type", "is a number, not a boolean", "1"),
    ('"name": "B"', "name", "category", "is not a known category", '"B"'),
    ('"name": 3', "name", "type", "is a number, not a string", "3"),
]


@pytest.mark.parametrize(("member", "field", "kind", "detail", "sent"), BAD_FIELDS)
def test_a_bad_field_is_named(member: str, field: str, kind: str, detail: str, sent: str) -> None:
    text = json.dumps(GOOD)[:-1] + ", " + member + "}"
    with pytest.raises(InvalidInput) as caught:
        VALIDATOR.decode(text.encode())
    (error,) = caught.value.errors
    assert (error.field, error.kind, error.detail, error.sent) == (field, kind, detail, sent)
    assert error.pointer == f"/{field}"
    assert error.allowed == next(f for f in MANIFEST.features if f.name == field).allowed


def test_a_very_long_number_is_refused_unread() -> None:
    with pytest.raises(InvalidInput) as caught:
        VALIDATOR.decode(json.dumps(GOOD)[:-1].encode() + b', "size": ' + b"9" * 100_000 + b"}")
    assert caught.value.errors[0].field == "size"
    assert len(caught.value.detail) < 500


def test_every_bad_field_of_every_row_is_named() -> None:
    batch = {"instances": [GOOD, {"count": 1, "size": "x", "big": True, "surname": "q"}]}
    with pytest.raises(InvalidInput) as caught:
        VALIDATOR.decode(json.dumps(batch).encode())
    assert [(e.pointer, e.kind, e.detail) for e in caught.value.errors] == [
        ("/instances/1/surname", "unknown-field", "is not known"),
        ("/instances/1/size", "type", "is a string, not a number"),
        ("/instances/1/name", "missing", "is missing"),
    ]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"instances": []}, "instances"),
        ({"instances": {}}, "instances"),
        ({"instances": [GOOD] * 6}, "instances"),
        ({"instances": [1]}, "instances"),
        ({"instances": [GOOD], "more": 1}, "more"),
    ],
)
def test_bad_batches(content: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        VALIDATOR.decode(json.dumps(content).encode())
    assert caught.value.errors[0].field == field


@pytest.mark.parametrize(
    "sent",
    [b"", b"  ", b"{", b"{'a': 1}", b"[]", b"3", b'"x"', b"null", b"NaN", b"\xff{}",
     b'{"name": "\xff"}', b"[" * 10_000, b'{"a":' * 10_000, b"\xef\xbb\xbf{}"],
)  # fmt: skip
def test_a_body_that_is_no_object_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        VALIDATOR.decode(sent)
    assert caught.value.status == 400
    assert caught.value.members["field"] == "body"
    assert "instances" in caught.value.members["allowed"]
    assert VALIDATOR.decode(body()).count == 1


def test_a_lone_surrogate_is_not_text() -> None:
    feature = Feature("s", "string")
    manifest = Manifest("m", (feature,), (Output("y"),), {"onnx": BackendSpec({"a": {}})})
    with pytest.raises(InvalidInput, match="Unicode"):
        Validator(manifest).decode(rb'{"s": "\ud800"}')


def test_feature_names_need_not_be_identifiers() -> None:
    manifest = Manifest(
        "m", (Feature("input.1/a b", "number"),), (Output("y"),), {"o": BackendSpec({"a": {}})}
    )
    assert Validator(manifest).decode(b'{"input.1/a b": 1}').count == 1
    with pytest.raises(InvalidInput) as caught:
        Validator(manifest).decode(b"{}")
    assert caught.value.errors[0].pointer == "/input.1~1a b"


def test_tensors_keep_shape_and_dtype() -> None:
    rows = tensor_validator(shape=(2, None), dtype="int16").decode(b'{"x": [[1, 2], [3, 4]]}')
    assert rows.columns["x"].shape == (1, 2, 2)
    assert rows.columns["x"].dtype == np.int16


@pytest.mark.parametrize(
    ("options", "value", "kind"),
    [
        ({"shape": (2,)}, "[1]", "shape"),
        ({"shape": (2,)}, "[[1], [2]]", "type"),
        ({"shape": (2,)}, '["1", "2"]', "type"),
        ({"shape": (2,)}, "[true, false]", "type"),
        ({"shape": (2,)}, "[1, 1e39]", "dtype"),
        ({"shape": (2,)}, "[1, NaN]", "type"),
        ({"shape": (2, None)}, "[[1], [1, 2]]", "shape"),
        ({"shape": (1,), "dtype": "int8"}, "[128]", "dtype"),
        ({"shape": (1,), "dtype": "uint8"}, "[-1]", "dtype"),
        ({"shape": (1,), "dtype": "bool"}, "[1]", "type"),
        ({"shape": (1,), "dtype": "string"}, "[1]", "type"),
        ({"shape": (1,), "dtype": "string"}, r'["\ud800"]', "text"),
    ],
)
def test_tensors_that_do_not_fit(options: dict[str, Any], value: str, kind: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        tensor_validator(**options).decode(b'{"x": %s}' % value.encode())
    (error,) = caught.value.errors
    assert (error.field, error.kind) == ("x", kind)


def test_rows_of_one_batch_share_their_shape() -> None:
    validator = tensor_validator(shape=(None,))
    with pytest.raises(InvalidInput, match="shape"):
        validator.decode(b'{"instances": [{"x": [1]}, {"x": [1, 2]}]}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["a", "b", "A"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip
NEARLY = st.fixed_dictionaries(
    {
        "count": st.integers(-5, 20) | st.floats(-5, 20) | JSON,
        "size": st.floats(-3, 3) | st.integers(-3, 3) | JSON,
        "big": st.booleans() | JSON,
        "name": st.sampled_from(["a", "b"]) | JSON,
    },
    optional={"extra": JSON},
)


@given(st.lists(NEARLY, min_size=1, max_size=3) | st.lists(JSON, max_size=3))
@settings(max_examples=400)
def test_both_ways_agree_on_everything(objects: list[Any]) -> None:
    """Whatever the fast way takes the exact way takes alike, and the other way round."""
    text = json.dumps({"instances": objects}).encode()
    ways: list[Callable[[], Rows]] = [
        lambda: VALIDATOR.decode(text),
        lambda: VALIDATOR.convert(json.loads(text)["instances"]),
    ]
    outcomes: list[Any] = []
    for way in ways:
        try:
            outcomes.append(msgspec.to_builtins(way().objects))
        except GatewayError as error:
            outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        VALIDATOR.decode(data)
