"""Gaps and strings nobody has learned: what a pipeline answers, its endpoint answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skl2onnx.common.data_types import StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from gateway.errors import InvalidInput
from gateway.models.graph import Graph
from gateway.models.repository import Repository
from serving.importing import describe
from serving.importing.errors import ImportRefused
from serving.importing.importer import Imported
from serving.importing.lenient import LEARNED

Take = Callable[..., Imported]


def _pipeline(model: Any, encoder: Any = None, number: Any = None) -> Pipeline:
    """Incomes that may be missing, and cities that may be new."""
    numbers = number or make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    strings = encoder or OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    chosen = [("numbers", numbers, ["income"]), ("strings", strings, ["city"])]
    return Pipeline([("columns", ColumnTransformer(chosen)), ("model", model)])


@pytest.fixture
def holes(frame: Any, tmp_path: Path) -> Any:
    """Rows whose incomes are missing at every fifth, in ``holes.csv``, too."""
    rows = frame[["income", "city", "bought"]].copy()
    rows.loc[::5, "income"] = np.nan
    rows.to_csv(tmp_path / "holes.csv", index=False)
    return rows


def _ask(imported: Imported, rows: list[dict[str, Any]]) -> Any:
    entry = Repository.scan(imported.folder).get()
    graph = Graph(entry.artifact("scikit-learn.onnx"), threads=1)
    (answer,) = graph.run(entry.validator.convert(rows)).values()
    return answer


@pytest.mark.parametrize("model", [LogisticRegression(), HistGradientBoostingRegressor(max_iter=5)])
def test_gaps_and_new_strings_are_answered_as_by_the_pipeline(
    model: Any, take: Take, frame: Any, holes: Any, tmp_path: Path
) -> None:
    # The latter takes gaps itself, and float64.
    number = "passthrough" if isinstance(model, HistGradientBoostingRegressor) else None
    target = holes["bought"] if number is None else frame["income"]
    fitted = _pipeline(model, number=number).fit(holes, target)
    imported = take(fitted, sample=tmp_path / "holes.csv")
    income, city = imported.manifest.features
    assert (income.type, income.finite, income.example) == ("number", False, holes["income"][1])
    assert city.categories is None
    assert city.description.startswith(f'{LEARNED}"Lima", "Oslo", "Rome"')
    rows: list[dict[str, Any]]
    rows = [{"income": None, "city": "Bern"}, {"income": 30_000.5, "city": "Oslo"}]
    asked = holes.iloc[:2].assign(income=[np.nan, 30_000.5], city=["Bern", "Oslo"])
    answer = fitted.predict_proba if number is None else fitted.predict
    np.testing.assert_allclose(_ask(imported, rows).squeeze(), answer(asked), rtol=1e-5)
    card = json.loads((imported.folder / "1" / "card.json").read_text())
    assert card["sample"]["left_out"] == 0
    assert card["parity"]["rows"] == 301, "all rows, and one of an unknown city"
    assert "missing numbers are answered, null in JSON: income" in imported.notes


def test_gaps_alone_are_refused(take: Take, frame: Any, holes: Any, tmp_path: Path) -> None:
    fitted = _pipeline(LogisticRegression()).fit(holes, holes["bought"])
    (tmp_path / "gaps.csv").write_text("income,city\n,Oslo\n30000.5,\n,Rome\n")
    with pytest.raises(ImportRefused, match="no row that can be sent has a value of income"):
        take(fitted, sample=tmp_path / "gaps.csv")


def test_rows_left_out_are_counted_with_their_reasons(
    take: Take, frame: Any, holes: Any, tmp_path: Path
) -> None:
    encoder = OneHotEncoder(sparse_output=False)
    scaler = StandardScaler()
    complete = frame.assign(city=frame["city"].replace("Rome", "None"))
    fitted = _pipeline(LogisticRegression(), encoder, scaler).fit(complete, frame["bought"])
    holes["city"] = frame["city"].replace("Rome", "None").replace("Lima", "Bern")
    holes.loc[1, "city"] = None
    holes.to_csv(tmp_path / "holes.csv", index=False)
    imported = take(fitted, sample=tmp_path / "holes.csv")
    income, city = imported.manifest.features
    assert income.finite
    assert city.categories == ("Lima", "None", "Oslo")
    bern = int(((holes["city"] == "Bern") & holes["income"].notna()).sum())
    (note,) = imported.notes
    assert note == (
        f"{61 + bern} of 300 sample rows are left out: income is missing in 60, city is missing in"
        f" 1, city is no known category in {bern}"
    )
    with pytest.raises(InvalidInput, match="income"):
        _ask(imported, [{"income": None, "city": "Oslo"}])


def test_what_the_export_answers_otherwise_is_not_let_in(
    take: Take, frame: Any, holes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.importing import sklearn_mends

    # An imputer that hands NaN on.
    for kind in ("FloatTensorType", "DoubleTensorType"):
        monkeypatch.setattr(sklearn_mends, kind, StringTensorType)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    fitted = _pipeline(LinearRegression(), encoder).fit(holes, frame["age"])
    imported = take(fitted, sample=tmp_path / "holes.csv")
    income, city = imported.manifest.features
    assert (income.finite, city.categories) == (True, ("Lima", "Oslo", "Rome"))
    assert any(note.startswith("only complete rows of values it has") for note in imported.notes)
    assert any("income is missing in 60" in note for note in imported.notes)


def test_versions_share_what_both_answer(
    take: Take, frame: Any, holes: Any, tmp_path: Path
) -> None:
    frame.drop(columns=["age", "ignored"]).to_csv(tmp_path / "whole.csv", index=False)
    fitted = _pipeline(LogisticRegression()).fit(holes, holes["bought"])
    take(fitted, sample=tmp_path / "whole.csv", name="shop")
    second = take(fitted, sample=tmp_path / "holes.csv", name="shop", version="2")
    assert second.manifest.features[0].finite, "the first version was not tried with gaps"
    assert "income: null is refused, as before" in second.notes
    assert not any("missing numbers are answered" in note for note in second.notes)
    alone = take(fitted, sample=tmp_path / "holes.csv", name="alone")
    assert not alone.manifest.features[0].finite
    with pytest.raises(ImportRefused, match=r"income: number, float32, null for NaN there"):
        take(fitted, sample=tmp_path / "whole.csv", name="alone", version="2")


def test_a_rare_gap_is_compared_too(
    take: Take, frame: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe, "MAX_ROWS", 10)
    rows = frame[["income", "city"]].copy()
    rows.loc[7, "income"] = np.nan
    rows.to_csv(tmp_path / "rare.csv", index=False)
    fitted = _pipeline(LogisticRegression()).fit(rows, frame["bought"])
    imported = take(fitted, sample=tmp_path / "rare.csv")
    assert not imported.manifest.features[0].finite
    assert imported.parity.rows == 12, "ten, a gap and an unknown city"
