"""Payloads: the validator takes those that are good, and refuses those that are bad as promised."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output, TensorType
from gateway.models.validator import Validator
from loadtests.compare.errors import CompareError
from loadtests.payloads import bad, body, edges, examples, from_file, generated, redrawn
from tests.conftest import MIXED, REPOSITORY, TALK
from tests.pictures import draw as draw_pixels
from tests.pictures import encoded, text

WEIGHT_CHANGE = Manifest.load(REPOSITORY / "weight-change")
MIXED_MANIFEST = msgspec.convert(MIXED, Manifest)


def manifest_of(*features: Feature, **options: Any) -> Manifest:
    made = Manifest("m", features, (Output("y"),), {"onnx": BackendSpec({"only": {}})}, **options)
    made.check()
    return made


TENSORS = manifest_of(
    Feature("image", "tensor", shape=(2, 3), dtype="uint8"),
    Feature("scores", "tensor", shape=(None,), example=[0.5, 2.0]),
    Feature("raw", "tensor", shape=(2,), example={"b64": "AACAPwAAAEA="}),
    Feature("flags", "tensor", shape=(2,), dtype="bool"),
    Feature("words", "tensor", shape=(2,), dtype="string", example=["a", "b"]),
    Feature("scalar", "tensor", dtype="int64"),
    Feature("odd", "string", categories=("\0", "a\0", "a")),
    Feature("photo", "image", size=(20, 30), layout="CHW"),
    Feature("grey", "image", size=(4, 3), mode="L", example=text(encoded(draw_pixels((9, 9))))),
)

_wholes = st.integers(-(2**40), 2**40)
_numbers = st.floats(-1e9, 1e9, width=32)


def _range(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(values, values).map(lambda ends: (min(ends), max(ends)))


@st.composite
def _features(draw: st.DrawFn, name: str) -> Feature:
    kind = draw(st.sampled_from(["integer", "number", "boolean", "string", "tensor", "image"]))
    if kind == "integer":
        span = draw(st.none() | _range(_wholes))
        wholes = _wholes if span is None else st.integers(*span)
        return Feature(name, "integer", range=span, example=draw(st.none() | wholes))
    if kind == "number":
        span = draw(st.none() | _range(_numbers))
        inside = _numbers if span is None else st.floats(*span, width=32)
        return Feature(name, "number", range=span, example=draw(st.none() | inside))
    if kind == "string":
        texts = st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4, unique=True)
        return Feature(name, "string", categories=draw(st.none() | texts.map(tuple)))
    if kind == "boolean":
        return Feature(name, "boolean")
    if kind == "image":
        return Feature(name, "image", size=(2, 3), mode=draw(st.sampled_from(["L", "RGB"])))
    shape = draw(st.lists(st.sampled_from([None, 1, 3]), max_size=3).map(tuple))
    elements: tuple[TensorType, ...] = ("float16", "float64", "int8", "uint8", "uint64", "bool")
    element = draw(st.sampled_from(elements))
    return Feature(name, "tensor", shape=shape, dtype=element)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    letters = st.characters(exclude_characters='"\\', exclude_categories=["C"])
    names = draw(st.lists(st.text(letters, min_size=1), min_size=1, max_size=4, unique=True))
    assume("instances" not in names)
    strict = draw(st.sampled_from(["warn", "reject"]))
    return manifest_of(*(draw(_features(name)) for name in names), out_of_range=strict)


@settings(max_examples=60)
@given(manifests(), st.integers(0, 2**32))
def test_any_models_validator_takes_the_good_and_refuses_the_bad(
    manifest: Manifest, seed: int
) -> None:
    validator = Validator(manifest)
    for payload in examples(manifest) + edges(manifest) + generated(manifest, 5, seed):
        assert validator.decode(body([payload])).count == 1
    for case in bad(manifest):
        with pytest.raises(GatewayError) as caught:
            validator.decode(case.body)
        assert caught.value.status == case.status, case.name


@pytest.mark.parametrize("manifest", [WEIGHT_CHANGE, MIXED_MANIFEST, TENSORS])
def test_the_models_of_these_tests(manifest: Manifest) -> None:
    validator = Validator(manifest)
    good = examples(manifest) + edges(manifest) + generated(manifest, 50)
    assert validator.decode(body(good)).count == len(good)
    cases = bad(manifest)
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        with pytest.raises(GatewayError) as caught:
            validator.decode(case.body)
        assert caught.value.status == case.status, case.name


def test_drawn_pictures_differ_and_have_the_size() -> None:
    manifest = manifest_of(Feature("x", "image", size=(20, 30)))
    payloads = generated(manifest, 5)
    assert len({payload["x"] for payload in payloads}) == 5
    columns = Validator(manifest).decode(body(payloads)).columns["x"]
    assert columns.shape == (5, 20, 30, 3)
    assert columns.std() > 20
    ends = [Validator(manifest).decode(body([payload])).columns["x"] for payload in edges(manifest)]
    assert [(int(end.min()), int(end.max())) for end in ends] == [(128, 128), (0, 0), (255, 255)]


def test_the_example_is_the_manifests() -> None:
    assert examples(WEIGHT_CHANGE) == [TALK]


def test_edges_hold_the_ends_and_what_lies_just_outside() -> None:
    found = edges(MIXED_MANIFEST)
    assert {payload["count"] for payload in found} == {-1, 0, 2, 5, 10, 11}
    assert {payload["size"] for payload in found} == {-1.53, -1.5, 0, 0.5, 1.5, 1.53}
    assert {payload["big"] for payload in found} == {True, False}
    assert {payload["name"] for payload in found} == {"a", "b"}
    assert {"count": 10, "size": 1.5, "big": True, "name": "b"} in found
    assert {"count": 0, "size": -1.5, "big": False, "name": "a"} in found
    spelled = [json.dumps(payload) for payload in found]
    assert len(set(spelled)) == len(spelled)


def test_edges_stay_inside_where_outside_is_refused() -> None:
    found = edges(msgspec.structs.replace(MIXED_MANIFEST, out_of_range="reject"))
    assert {payload["count"] for payload in found} == {0, 2, 5, 10}


def test_edges_of_tensors_are_their_extremes() -> None:
    images = [payload["image"] for payload in edges(TENSORS)]
    assert [[0, 0, 0], [0, 0, 0]] in images
    assert [[255, 255, 255], [255, 255, 255]] in images


def test_generated_payloads_are_uniform_and_the_same_for_the_same_seed() -> None:
    drawn = generated(MIXED_MANIFEST, 2_000, seed=3)
    assert drawn == generated(MIXED_MANIFEST, 2_000, seed=3)
    assert drawn[:10] == generated(MIXED_MANIFEST, 10, seed=3)
    assert drawn != generated(MIXED_MANIFEST, 2_000, seed=4)
    assert {type(payload["count"]) for payload in drawn} == {int}
    assert {payload["count"] for payload in drawn} == set(range(11))
    sizes = [payload["size"] for payload in drawn]
    assert -1.5 <= min(sizes) < -1.48
    assert 1.48 < max(sizes) <= 1.5
    assert abs(sum(sizes) / len(sizes)) < 5 * 3 / math.sqrt(12 * 2_000)
    assert 900 < sum(payload["big"] for payload in drawn) < 1_100
    assert 900 < sum(payload["name"] == "b" for payload in drawn) < 1_100


def test_without_a_range_the_example_says_what_is_sensible() -> None:
    manifest = manifest_of(
        Feature("price", "number", example=20.0),
        Feature("token", "integer"),
        Feature("loss", "number", example=-4),
        Feature("anything", "number"),
    )
    drawn = generated(manifest, 500)
    ends = {
        name: (min(p[name] for p in drawn), max(p[name] for p in drawn))
        for name in manifest.example
    }
    assert 0 <= ends["price"][0] < 1
    assert 39 < ends["price"][1] <= 40
    assert ends["token"] == (0, 9)
    assert ends["loss"][0] < -7.5
    assert ends["loss"][1] <= 0
    assert -1 <= ends["anything"][0] < 0 < ends["anything"][1] <= 1


def test_redrawing_changes_one_feature_only() -> None:
    rows = generated(WEIGHT_CHANGE, 50)
    again = redrawn(WEIGHT_CHANGE, rows, "bmr", seed=7)
    assert [row | {"bmr": 0} for row in rows] == [row | {"bmr": 0} for row in again]
    assert sum(one["bmr"] == other["bmr"] for one, other in zip(rows, again, strict=True)) < 5


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


ROWS = [
    {"count": 3, "size": 0.25, "big": True, "name": "a"},
    {"count": 4, "size": -1, "big": False, "name": "b"},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.csv", "size,note,name,big,count\n0.25,x,a,true,3\n-1,y,b,0,4.0\n"),
        ("r.CSV", "\ufeffcount, size, big, name\r\n3, 0.25, yes, a\r\n4, -1, no, b\r\n"),
        ("r.json", json.dumps([row | {"note": 1} for row in ROWS])),
        ("r.json", json.dumps({"instances": ROWS})),
        ("r.jsonl", "\n\n".join(json.dumps(row) for row in ROWS)),
        ("r.ndjson", "\n".join(json.dumps(row | {"total": 0}) for row in ROWS) + "\n"),
    ],
)
def test_rows_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    assert from_file(write(tmp_path / name, text), MIXED_MANIFEST) == ROWS


def test_one_object_and_tensors_from_a_file(tmp_path: Path) -> None:
    one = write(tmp_path / "one.json", json.dumps(ROWS[0]))
    assert from_file(one, MIXED_MANIFEST) == ROWS[:1]
    manifest = manifest_of(Feature("x", "tensor", shape=(2,)))
    table = write(tmp_path / "x.csv", 'x\n"[1, 2]"\n')
    assert from_file(table, manifest) == [{"x": [1, 2]}]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("r.txt", "", "read from files in .csv, .json, .jsonl, .ndjson"),
        ("r.csv", "", "line 1: no column count, size, big, name"),
        ("r.csv", "count,big\n1,true\n", "line 1: no column size, name"),
        ("r.csv", "count,size,big,name\n", "holds no rows"),
        ("r.csv", "count,size,big,name\n1,2,true,a\nx,2,true,a\n", "line 3: count: 'x' is not a"),
        ("r.csv", "count,size,big,name\n1,1,maybe,a\n", "line 2: big: 'maybe' is not true or"),
        ("r.csv", "count,size,big,name\n1,1\n", "line 2: big: None is not true or false"),
        ("r.csv", "count,size,big,name\n1,nan,true,a\n", "line 2: size: does not fit in float32"),
        ("r.csv", "count,size,big,name\n1.5,1,true,a\n", "line 2: count: is not a whole number"),
        ("r.csv", "count,size,big,name\n1,1,true,c\n", "line 2: name: is not a known category"),
        ("r.json", "[{]", "not JSON"),
        ("r.json", "3", "the body is a number"),
        ("r.json", "[]", "holds no rows"),
        ("r.json", '[{"count": 1}]', "row 1: size: is missing"),
        ("r.json", "[1]", "row 1: instances: is a number, not an object"),
        ("r.jsonl", '{"count": 1\n', "line 1: "),
        ("r.jsonl", json.dumps(ROWS[0]) + '\n{"count": "1"}', "line 2: count: is a string"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(CompareError, match=r"^\S+" + name + ": ") as caught:
        from_file(write(tmp_path / name, text), MIXED_MANIFEST)
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CompareError, match="No such file"):
        from_file(tmp_path / "none.csv", MIXED_MANIFEST)
    (tmp_path / "latin.csv").write_bytes(b"count,size,big,name\n1,1,true,\xe4\n")
    with pytest.raises(CompareError, match="not valid UTF-8"):
        from_file(tmp_path / "latin.csv", MIXED_MANIFEST)
