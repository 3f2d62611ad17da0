"""The schemas of payloads: complete, and of one mind with the decoder."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.api.openapi_schemas import row
from gateway.errors import InvalidInput
from gateway.models.manifest import Manifest
from gateway.models.validator import Validator
from tests.conftest import MIXED
from tests.gateway.api.test_openapi import FITS, GOOD, WIDE


@pytest.mark.parametrize("manifest", [MIXED, WIDE])
def test_every_feature_and_category_is_in_it(manifest: dict[str, Any]) -> None:
    properties = row(msgspec.convert(manifest, Manifest))["properties"]
    assert list(properties) == [feature["name"] for feature in manifest["features"]]
    for feature in manifest["features"]:
        schema = properties[feature["name"]]
        assert schema.get("enum") == feature.get("categories")
        for told in (feature.get("description", ""), feature.get("unit", "")):
            assert told in schema["description"]
        for bound in feature.get("range", ()):
            assert f"{bound}" in schema["description"]


#: Tensors beyond those of one shape and finite numbers.
VARYING: dict[str, Any] = {
    "name": "varying",
    "features": [
        {"name": "mask", "type": "tensor", "shape": [None, 1], "finite": False},
        {"name": "grid", "type": "tensor", "shape": [2, None, 3], "dtype": "int8"},
        {"name": "none", "type": "tensor", "shape": [0, 2]},
        {"name": "many", "type": "tensor", "shape": [None, None], "dtype": "uint8"},
    ],
    "outputs": [{"name": "ok"}],
    "backends": {"memory": {"lineages": {"made": {}}}},
}
VARIED: dict[str, Any] = {"mask": [[None], [1]], "grid": [[], []], "none": [], "many": [[1, 2]]}

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
anything: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(0, 30) | st.text(max_size=2) | st.just({})
)
pixels = st.integers(-32_770, 32_770) | anything
encoded = st.binary(max_size=6).map(lambda raw: {"b64": base64.b64encode(raw).decode()})
CHANGES = {
    "mixed": st.fixed_dictionaries(
        {},
        optional={
            "count": st.integers(-5, 20) | numbers | anything,
            "size": st.floats(-2, 2) | numbers | anything,
            "big": st.booleans() | anything,
            "name": st.sampled_from("abcA") | anything,
            "extra": anything,
        },
    ),
    "wide": st.fixed_dictionaries(
        {},
        optional={
            "note": st.text(max_size=3) | anything,
            "level": st.integers(5, 25) | st.floats(5, 25) | anything,
            "half": st.floats(-65_600, 65_600) | numbers | anything,
            "pair": st.lists(pixels, min_size=1, max_size=3) | encoded | anything,
            "path": st.lists(st.lists(numbers, min_size=2, max_size=3), max_size=2) | anything,
            "flags": st.lists(st.booleans() | anything, max_size=2) | encoded,
            "words": st.lists(st.text(max_size=1) | anything, max_size=3) | encoded,
        },
    ),
    "varying": st.fixed_dictionaries(
        {},
        optional={
            "mask": st.lists(st.lists(numbers | st.none(), max_size=2), max_size=2) | anything,
            "grid": st.lists(st.just([]) | st.just([[1, 2, 3]]), max_size=1) | anything,
            "none": st.lists(st.lists(numbers, max_size=2), max_size=1) | anything,
            "many": encoded | st.just({"b64": "AQI=", "shape": [1, 2]}) | anything,
        },
    ),
}


def both(content: dict[str, Any]) -> tuple[Draft202012Validator, Validator]:
    """What the document says of a row of a model, and what decides at the door."""
    manifest = msgspec.convert(content, Manifest)
    return Draft202012Validator(row(manifest)), Validator(manifest)


SCHEMAS = {content["name"]: both(content) for content in (MIXED, WIDE, VARYING)}


@pytest.mark.parametrize(("manifest", "fitting"), [(MIXED, GOOD), (WIDE, FITS), (VARYING, VARIED)])
@given(st.data())
@settings(max_examples=400)
def test_the_schema_takes_what_the_decoder_takes(
    manifest: dict[str, Any], fitting: dict[str, Any], data: st.DataObject
) -> None:
    changes: dict[str, Any] = data.draw(CHANGES[manifest["name"]])
    content = fitting | changes
    if missing := data.draw(st.none() | st.sampled_from(list(fitting))):
        del content[missing]
    schema, validator = SCHEMAS[manifest["name"]]
    body = json.dumps(content).encode()
    if schema.is_valid(json.loads(body)):
        assert validator.decode(body).count == 1
    else:
        with pytest.raises(InvalidInput):
            validator.decode(body)
