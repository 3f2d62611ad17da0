"""Reading of samples, and the words of ``--input``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serving.importing.errors import ImportRefused
from serving.importing.parity import default_tolerance
from serving.importing.sample import read_sample, typed
from serving.importing.spec import Spec, parse_spec


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["1", "-2"], "i", [1, -2]),
        (["1", "2.5"], "f", [1.0, 2.5]),
        (["true", "False"], "b", [True, False]),
        (["1", "x"], "O", ["1", "x"]),
    ],
)
def test_texts_become_what_all_of_them_are(texts: list[str], kind: str, values: object) -> None:
    array = typed(texts)
    assert array.dtype.kind == kind
    assert array.tolist() == values


def test_rows_with_a_missing_value_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('\ufeff,a,b,other\n0,1,"x, y",\n1,,z,\n2,3,NaN,\n3,4,"two\nlines",5\n')
    sample = read_sample(path)
    assert list(sample.columns) == ["a", "b", "other"], "a column without a name is an index"
    columns, left = sample.read({"a": False, "b": True})
    assert columns["a"].tolist() == [1, 4]
    assert columns["b"].tolist() == ["x, y", "two\nlines"]
    assert left.rows == 2
    assert left.because == {"a is missing": 1, "b is missing": 1}


def test_rows_with_infinity_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,inf\n-Infinity,x\n1e999,y\nNAN,z\n2,w\n")
    columns, left = read_sample(path).read({"a": False, "b": True})
    assert columns["a"].tolist() == [1, 2]
    assert columns["b"].tolist() == ["inf", "w"]
    assert left.rows == 3
    assert left.because == {"a is not finite": 3}
    path.write_text("a,b\n1,inf\n")
    with pytest.raises(ImportRefused, match="missing or infinite in every row"):
        read_sample(path).read({"b": False})


def test_gaps_stay_where_they_may_and_learned_words_are_not_missing(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,None\n,x\ninf,x\n2,NA\n")
    columns, left = read_sample(path).read(
        {"a": False, "b": True}, {"b": ("None", "x")}, gaps=("a",)
    )
    np.testing.assert_array_equal(columns["a"].astype(float), [1, np.nan])
    assert columns["b"].tolist() == ["None", "x"]
    assert left.because == {"b is missing": 1, "a is not finite": 1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", "a,b\n", "at least one row"),
        ("rows.csv", "a,a\n1,2\n", "no name of its own"),
        ("rows.csv", "a,b\n1\n", "no name of its own"),
        ("rows.txt", "a\n1\n", r"\.csv or an \.npz"),
        ("rows.npz", "no archive", "rows.npz"),
    ],
)
def test_other_files_are_refused(name: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ImportRefused, match=said):
        read_sample(tmp_path / name)
    with pytest.raises(ImportRefused, match="No such file"):
        read_sample(tmp_path / "absent.csv")


def test_arrays_with_objects_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", a=np.array([{}, {}], object))
    with pytest.raises(ImportRefused, match="allow_pickle"):
        read_sample(tmp_path / "rows.npz")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x:float32:17", Spec("x", "float32", (17,))),
        ("image:uint8:3x?x?", Spec("image", "uint8", (3, None, None))),
        ("tokens:int64:any", Spec("tokens", "int64", (None,))),
        ("age:float32", Spec("age", "float32")),
    ],
)
def test_input_option_is_read(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize("text", ["x", "x:float", ":float32:3", "x:float32:3:4", "x:float32:3xa"])
def test_other_input_options_are_refused(text: str) -> None:
    with pytest.raises(ImportRefused, match="must look like name:dtype:shape"):
        parse_spec(text)


@pytest.mark.parametrize(
    ("largest", "expected"), [(1.0, 1e-4), (100.0, 1e-4), (200_000.0, 0.2), (1.5e6, 2.0)]
)
def test_tolerance_grows_with_large_answers(largest: float, expected: float) -> None:
    answers = {"y": np.array([0.0, -largest]), "n": np.array([10**9])}
    assert default_tolerance(answers) == expected
