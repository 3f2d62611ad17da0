"""The manifest: what is refused, and what is derived from it."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.errors import InvalidInput, ModelError
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output, format_number
from gateway.models.validator import Validator
from tests.conftest import MIXED


def load(tmp_path: Path, content: Any) -> Manifest:
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(content))
    return Manifest.load(tmp_path)


def test_a_good_manifest(tmp_path: Path) -> None:
    manifest = load(tmp_path, MIXED)
    assert [feature.name for feature in manifest.features] == ["count", "size", "big", "name"]
    assert manifest.example == {"count": 2, "size": 0.5, "big": False, "name": "a"}


def mutated(path: str, value: Any) -> dict[str, Any]:
    content: Any = copy.deepcopy(MIXED)
    *parents, last = path.split(".")
    inner = content
    for part in parents:
        inner = inner[int(part) if part.isdecimal() else part]
    inner[int(last) if last.isdecimal() else last] = value
    return content  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("name", "../up", "name"),
        ("name", None, "name"),
        ("features", [], "features"),
        ("features.0.type", "int", "type"),
        ("features.0.range", [3, 1], "count"),
        ("features.0.range", [0, float("inf")], "count"),
        ("features.2.range", [0, 1], "big"),
        ("features.0.range", [0, 2.0**63], "int64"),
        ("features.0.categories", ["x"], "count"),
        ("features.3.categories", [], "name"),
        ("features.3.categories", ["a", "a"], "name"),
        ("features.1.name", "count", "count"),
        ("features.1.name", "instances", "instances"),
        ("features.1.name", 'a"b', "quotes"),
        ("features.1.name", "a\\b", "quotes"),
        ("features.1.name", "a\ud800", "quotes"),
        ("features.0.finite", False, "count"),
        ("features.1.colour", "red", "colour"),
        ("outputs", [], "outputs"),
        ("backends", {}, "backends"),
        ("backends.onnx.lineages", {}, "onnx"),
        ("out_of_range", "shrug", "out_of_range"),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path: Path, path: str, value: Any, named: str) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        load(tmp_path, mutated(path, value))
    assert "model.yaml" in caught.value.detail


@pytest.mark.parametrize("text", ["a: [", "- 1", "!!python/object:os.system {}", "\x00"])
def test_text_that_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(ModelError):
        Manifest.load(tmp_path)


def test_json_schema_accepts_the_example_only_as_described(tmp_path: Path) -> None:
    manifest = load(tmp_path, MIXED)
    jsonschema.Draft202012Validator.check_schema(manifest.json_schema)
    jsonschema.validate(manifest.example, manifest.json_schema)
    for bad in ({"count": "2"}, {"name": "c"}, {"extra": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(manifest.example | bad, manifest.json_schema)


def test_tensor_schema_and_example() -> None:
    feature = Feature("x", "tensor", shape=(2, None), dtype="int8")
    assert feature.allowed == "nested lists of int8 of shape 2×any"
    assert feature.limits == (-128, 127)
    jsonschema.validate([[1, 2], [3]], feature.json_schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([[1]], feature.json_schema)


@pytest.mark.parametrize(
    ("options", "good", "bad"),
    [
        ({"dtype": "int32"}, [[1, -2]], [[1.5, 2], [True, 1], [None, 1]]),
        ({"dtype": "uint8"}, [[1, 2]], [[0.5, 2]]),
        ({"dtype": "float16"}, [[1, 1.5]], [[None, 1], ["1", 1]]),
        ({"dtype": "float64", "finite": False}, [[None, 1.5]], [["1", 1]]),
        ({"dtype": "bool"}, [[True, False]], [[1, 0]]),
        ({"dtype": "string"}, [["a", "b"]], [[1, "b"], [None, "b"]]),
    ],
)
def test_the_schema_of_a_tensor_takes_what_the_validator_takes(
    options: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    feature = Feature("x", "tensor", shape=(2,), **options)
    feature.check()
    manifest = Manifest("m", (feature,), (Output("y"),), {"onnx": BackendSpec({"o": {}})})
    schema = jsonschema.Draft202012Validator(manifest.json_schema)
    for values, fits in ((good, True), (bad, False)):
        for value in values:
            assert schema.is_valid({"x": value}) is fits
            with nullcontext() if fits else pytest.raises(InvalidInput):
                Validator(manifest).convert([{"x": value}])


def test_numbers_are_written_as_people_do() -> None:
    assert [format_number(v) for v in (12.0, 1.5, -3, 1e300)] == ["12", "1.5", "-3", "1e+300"]
