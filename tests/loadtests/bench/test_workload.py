from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.models.manifest import Feature, Manifest
from gateway.models.validator import Validator
from loadtests.bench.endpoint import (
    answer_object,
    answer_predictions,
    answer_tensor,
    instances,
    one_object,
    tensors,
)
from loadtests.bench.opponents import floor
from loadtests.bench.opponents.opponent import Place
from loadtests.bench.payload import Row, draw_rows
from loadtests.bench.workload import Workload, split
from tests.loadtests.bench.conftest import MODEL


def test_rows_are_what_the_model_takes_and_was_trained_on(rows: list[Row]) -> None:
    manifest = Manifest.load(MODEL)
    converted = Validator(manifest).convert(list(rows))
    assert converted.count == len(rows)
    assert converted.warnings == []
    assert list(rows[0]) == [feature.name for feature in manifest.features]
    assert rows == draw_rows(manifest, len(rows))
    assert rows != draw_rows(manifest, len(rows), seed=1)


def test_a_feature_that_cannot_be_drawn() -> None:
    manifest = Manifest.load(MODEL)
    features = (Feature("free", "number"),)
    with pytest.raises(ValueError, match="free"):
        draw_rows(type(manifest)(name="x", features=features, outputs=(), backends={}), 1)


def test_bodies_are_lines_of_compact_json(place: Place, rows: list[Row], tmp_path: Path) -> None:
    workload = Workload(8, split(rows[:5], 2))
    assert workload.rows == 2
    assert workload.title == "8 connections, 2 rows a body"
    endpoint = floor.endpoint(place)
    many = type(endpoint)(endpoint.title, endpoint.server, "/", instances, answer_object)
    lines = workload.write(many, tmp_path / "bodies.txt").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"instances": rows[0:2]},
        {"instances": rows[2:4]},
    ]
    assert b": " not in lines[0]


def test_one_row_is_one_object(rows: list[Row]) -> None:
    assert instances(rows[:1]) == one_object(rows[:1]) == rows[0]
    with pytest.raises(ValueError, match="unpack"):
        one_object(rows[:2])


def test_tensors(rows: list[Row]) -> None:
    inputs = {tensor["name"]: tensor for tensor in tensors(rows[:2])["inputs"]}
    assert inputs["gender"]["datatype"] == "BYTES"
    assert inputs["age"]["datatype"] == "FP32"
    assert inputs["age"]["shape"] == [2, 1]
    assert inputs["age"]["data"] == [rows[0]["age"], rows[1]["age"]]


def test_answers() -> None:
    assert answer_object({"weight_change": 1.5}) == [1.5]
    assert answer_object([{"weight_change": 1.5}, {"weight_change": 2.0}]) == [1.5, 2.0]
    assert answer_predictions({"predictions": [{"weight_change": 1.5}]}) == [1.5]
    assert answer_tensor({"outputs": [{"data": [1.5, 2.0]}]}) == [1.5, 2.0]
