"""Rows drawn from a manifest."""

from __future__ import annotations

import msgspec
import numpy as np

from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.validator import Validator
from serving.experiments.draws import draw_columns, draw_rows

MANIFEST = Manifest(
    "m",
    (
        Feature("i", "integer", range=(1, 3)),
        Feature("n", "number", range=(-2.5, -1.5)),
        Feature("b", "boolean"),
        Feature("s", "string", categories=("x", "y z")),
        Feature("t", "tensor", shape=(2, None), dtype="float32"),
        Feature("k", "tensor", shape=(3,), dtype="int64"),
    ),
    (Output("o"),),
    {"onnx": BackendSpec({"l": {"artifact": "g.onnx"}})},
)


def test_drawn_rows_fit_the_manifest_and_its_ranges() -> None:
    rows = draw_rows(MANIFEST, 200, 1)
    assert rows.count == 200
    columns = rows.columns
    assert set(columns["i"].tolist()) == {1, 2, 3}
    assert columns["n"].dtype == np.float64
    assert columns["t"].shape[:2] == (200, 2)
    assert columns["k"].dtype == np.int64
    again = Validator(MANIFEST).convert(rows.objects)
    assert again.warnings == []
    for name, column in again.columns.items():
        np.testing.assert_array_equal(column, columns[name])


def test_what_varies_in_size_has_the_examples() -> None:
    features = (
        Feature("t", "tensor", shape=(None, 2), example=[[1, 2], [3, 4], [5, 6]]),
        Feature("r", "tensor", shape=(None,), dtype="int8", example={"b64": "AAECAw=="}),
        Feature("p", "tensor", shape=(None, 0)),
    )
    rows = draw_rows(msgspec.structs.replace(MANIFEST, features=features), 5, 1)
    shapes = {name: column.shape for name, column in rows.columns.items()}
    assert shapes == {"t": (5, 3, 2), "r": (5, 4), "p": (5, 1, 0)}


def test_columns_without_a_range_fit_their_features() -> None:
    features = (
        Feature("a", "number"),
        Feature("b", "string", categories=("x", "y")),
        Feature("c", "tensor", shape=(2, None), dtype="int32"),
        Feature("d", "boolean"),
        Feature("e", "string"),
        Feature("f", "integer"),
    )
    columns = draw_columns(features, 64, 1)
    assert {len(column) for column in columns.values()} == {64}
    assert columns["a"].min() < -1, "around 0"
    assert (columns["a"] == columns["a"].astype(np.float32)).all(), "a float32 graph gets the same"
    assert columns["c"].ndim == 3
    assert columns["c"].dtype == np.int32
    assert set(columns["b"]) == {"x", "y"}
    assert all(isinstance(text, str) for text in columns["e"])
    assert set(columns["f"]) == {0, 1}


def test_the_same_seed_draws_the_same_rows() -> None:
    one, same, other = (draw_rows(MANIFEST, 9, seed).columns for seed in (1, 1, 2))
    assert all((one[name] == same[name]).all() for name in one)
    assert (one["n"] != other["n"]).all()
