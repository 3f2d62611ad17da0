"""Numbers that may be missing: null for them is NaN, and for no other feature."""

from __future__ import annotations

import math
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

from gateway.api.forms import read_form
from gateway.errors import InvalidInput
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.rows import join
from gateway.models.validator import Validator

FEATURES = (
    Feature("gap", "number", finite=False, range=(0, 10)),
    Feature("whole", "number", range=(0, 10)),
    Feature("count", "integer"),
)
MANIFEST = Manifest("m", FEATURES, (Output("y"),), {"onnx": BackendSpec({"o": {}})})
MANIFEST.check()
CHECK = Validator(MANIFEST)
STRICT = Validator(msgspec.structs.replace(MANIFEST, out_of_range="reject"))
FLOAT: dict[str, tuple[np.dtype[Any], int]] = {
    "gap": (np.dtype(np.float32), 2),
    "whole": (np.dtype(np.float64), 1),
}


def row(gap: Any, whole: Any = 1.5, count: Any = 3) -> dict[str, Any]:
    return {"gap": gap, "whole": whole, "count": count}


@pytest.mark.parametrize("check", [CHECK, STRICT])
@pytest.mark.parametrize("gaps", [[None], [2.5], [None, 2.5], [2.5, None], [None, None]])
def test_null_becomes_nan(check: Validator, gaps: list[float | None]) -> None:
    rows = [row(gap) for gap in gaps]
    body = msgspec.json.encode({"instances": rows} if len(rows) > 1 else rows[0])
    expected = [math.nan if gap is None else gap for gap in gaps]
    for read in (check.decode(body), check.convert(rows), join([check.convert([r]) for r in rows])):
        assert read.warnings == []
        fed = read.feeds(FLOAT)
        assert fed["gap"].dtype == np.float32
        np.testing.assert_array_equal(fed["gap"], np.array(expected, np.float32)[:, None])
        np.testing.assert_array_equal(read.columns["gap"], expected)
        assert msgspec.json.decode(msgspec.json.encode(read.objects)) == rows
        cut = read.slice(0, 1)  # of columns: NaN is null in JSON again
        assert msgspec.json.decode(msgspec.json.encode(cut.objects)) == rows[:1]


@pytest.mark.parametrize("rows", [[row(None, 11)], [row(None), row(11)], [row(12), row(None)]])
def test_values_beside_a_gap_are_held_against_their_range(rows: list[dict[str, Any]]) -> None:
    read = CHECK.convert(rows)
    (warning,) = read.warnings
    place = next(n for n, r in enumerate(rows) if 11 in r.values() or 12 in r.values())
    assert warning.startswith(f"{place}/")
    with pytest.raises(InvalidInput, match="outside the training range"):
        STRICT.convert(rows)


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (row(1.0, None), "whole"),
        (row(None, None), "whole"),
        (row(1.0, math.nan), "whole"),
        (row(math.inf), "gap"),
        (row("1"), "gap"),
        (row(True), "gap"),
        (row(None, 1.0, None), "count"),
        (row(None, 1.0, 1.5), "count"),
    ],
)
def test_nothing_else_is_missing(bad: dict[str, Any], field: str) -> None:
    for rows in ([bad], [row(None), bad]):
        with pytest.raises(InvalidInput) as caught:
            CHECK.convert(rows)
        assert [error.field for error in caught.value.errors] == [field]


def test_the_schema_says_so() -> None:
    schema = MANIFEST.json_schema
    assert schema["properties"]["gap"]["type"] == ["number", "null"]
    assert schema["properties"]["whole"]["type"] == "number"
    jsonschema.validate(row(None), schema)
    assert not jsonschema.Draft202012Validator(schema).is_valid(row(1.0, None))
    assert FEATURES[0].allowed == "a finite number or null, seen in training: 0–10"


def test_a_field_of_a_form_may_be_left_empty() -> None:
    parts = {"gap": " ", "whole": "1.5", "count": "3"}
    lines = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{content}\r\n'
        for name, content in parts.items()
    ]
    body = "".join([*lines, "--b--\r\n"]).encode()
    assert read_form(MANIFEST, "multipart/form-data; boundary=b", body) == row(None)
    swapped = (
        body.replace(b'"gap"', b'"no"').replace(b'"whole"', b'"gap"').replace(b'"no"', b'"whole"')
    )
    assert read_form(MANIFEST, "multipart/form-data; boundary=b", swapped)["whole"] == " "
