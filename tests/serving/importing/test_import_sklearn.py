"""Import of fitted scikit-learn pipelines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
import yaml
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeRegressor

from gateway.models.graph import Graph
from gateway.models.manifest import Manifest
from gateway.models.repository import Repository
from serving.importing.errors import ImportRefused
from serving.importing.importer import Imported
from tests.serving.importing.conftest import columns, pipeline

Take = Callable[..., Imported]

CLASSIFIERS = [
    LogisticRegression(),
    RandomForestClassifier(10, random_state=1),
    HistGradientBoostingClassifier(max_iter=5),
    LinearSVC(random_state=1),
    RidgeClassifier(),
    SVC(),
    CalibratedClassifierCV(LinearSVC(random_state=1), cv=2),
    GridSearchCV(LogisticRegression(), {"C": [0.5, 1.0]}, cv=2),
]
REGRESSORS = [
    LinearRegression(),
    RandomForestRegressor(10, random_state=1),
    GradientBoostingRegressor(n_estimators=5),
    HistGradientBoostingRegressor(max_iter=5),
    DecisionTreeRegressor(random_state=1),
]


def _ask(folder: Path, rows: list[dict[str, Any]]) -> np.ndarray:
    """What the imported graph answers to payloads, through the gateway's own validator."""
    entry = Repository.scan(folder).get()
    (options,) = entry.manifest.backends["onnx"].lineages.values()
    graph = Graph(entry.artifact(options["artifact"]), threads=1)
    (answer,) = graph.run(entry.validator.convert(rows)).values()
    return np.asarray(answer)


def _payloads(manifest: Manifest, frame: Any) -> list[dict[str, Any]]:
    names = [feature.name for feature in manifest.features]
    rows: list[dict[str, Any]] = json.loads(frame[names].to_json(orient="records"))
    return rows


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
def test_classifier_answers_and_labels_as_the_pipeline(
    model: Any, take: Take, frame: Any, data: Path
) -> None:
    fitted = pipeline(model).fit(frame, frame["bought"])
    imported = take(fitted, sample=data)
    (output,) = imported.manifest.outputs
    assert output.labels == ("no", "yes")
    answer = _ask(imported.folder, _payloads(imported.manifest, frame))
    assert answer.shape == (300, 2)
    named = np.array(output.labels)[answer.argmax(axis=1)]
    assert (named == fitted.predict(frame)).all()
    if hasattr(fitted, "predict_proba"):
        assert output.name == "probability"
        np.testing.assert_allclose(answer, fitted.predict_proba(frame), atol=1e-4)


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda m: type(m).__name__)
def test_regressor_answers_as_the_pipeline(model: Any, take: Take, frame: Any, data: Path) -> None:
    fitted = pipeline(model).fit(frame, frame["income"] * 3 + frame["age"])
    imported = take(fitted, sample=data)
    (output,) = imported.manifest.outputs
    assert (output.name, output.shape, output.labels) == ("prediction", (), None)
    answer = _ask(imported.folder, _payloads(imported.manifest, frame))
    np.testing.assert_allclose(answer.ravel(), fitted.predict(frame), atol=0.2, rtol=0)


def test_manifest_tells_types_ranges_and_categories(take: Take, frame: Any, data: Path) -> None:
    imported = take(
        pipeline(LogisticRegression()).fit(frame, frame["bought"]), sample=data, name="shop"
    )
    features = {feature.name: feature for feature in Manifest.load(imported.folder).features}
    assert list(features) == ["age", "income", "city", "home plan"], "what it drops is no feature"
    assert [feature.type for feature in features.values()] == ["integer", "number"] + ["string"] * 2
    assert features["city"].categories == ("Lima", "Oslo", "Rome")
    assert features["age"].range == (frame["age"].min(), frame["age"].max())
    income = features["income"].range
    assert income is not None
    assert income[0] <= frame["income"].min()
    assert features["age"].example == frame["age"][0]
    text = (imported.folder / "model.yaml").read_text(encoding="utf-8")
    assert "serving import" in text.splitlines()[1]
    assert yaml.safe_load(text)["backends"] == {
        "onnx": {"lineages": {"scikit-learn": {"artifact": "scikit-learn.onnx"}}}
    }


def test_card_tells_parity_sample_and_versions(take: Take, frame: Any, data: Path) -> None:
    imported = take(pipeline(LogisticRegression()).fit(frame, frame["bought"]), sample=data)
    card = json.loads((imported.folder / "1" / "card.json").read_text())
    assert card["parity"]["rows"] == 299
    assert card["sample"]["left_out"] == 1
    assert 0 <= card["parity"]["greatest_difference"]["scikit-learn.onnx"] <= 1e-4
    assert card["parity"]["tolerance"] == imported.manifest.parity.absolute == 1e-4
    assert {"scikit-learn", "skl2onnx", "onnxruntime"} <= set(card["libraries"])
    assert list(card["files"]) == ["scikit-learn.onnx"]


def test_numbers_stay_float64_where_float32_is_not_exact_enough(
    take: Take, frame: Any, data: Path
) -> None:
    fitted = pipeline(HistGradientBoostingRegressor(max_iter=5)).fit(frame, frame["income"])
    imported = take(fitted, sample=data)
    dtypes = {feature.name: feature.dtype for feature in imported.manifest.features}
    assert dtypes == {"age": None, "income": "float64", "city": None, "home plan": None}


def test_matrix_of_numbers_gets_a_feature_per_column(
    take: Take, frame: Any, tmp_path: Path
) -> None:
    numbers = frame[["age", "income"]]
    numbers.to_csv(tmp_path / "numbers.csv", index=False)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        numbers.to_numpy(), frame["bought"]
    )
    imported = take(fitted, sample=tmp_path / "numbers.csv")
    assert [(f.name, f.type) for f in imported.manifest.features] == [
        ("age", "integer"),
        ("income", "number"),
    ]
    answer = _ask(imported.folder, [{"age": 40, "income": 31_000.5}])
    np.testing.assert_allclose(answer, fitted.predict_proba([[40, 31_000.5]]), atol=1e-5)
    unnamed = take(fitted, name="unnamed")
    assert [feature.name for feature in unnamed.manifest.features] == ["x1", "x2"]
    frame.to_csv(tmp_path / "all.csv", index=False)
    with pytest.raises(ImportRefused, match="takes 2 columns, the sample has 6"):
        take(fitted, sample=tmp_path / "all.csv", name="wrong")


def test_text_model_takes_free_text(take: Take, frame: Any, tmp_path: Path) -> None:
    notes = [f"The {city} plan, number {n % 7}" for n, city in enumerate(frame["city"])]
    (tmp_path / "notes.csv").write_text("note\n" + "\n".join(f'"{note}"' for note in notes))
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(notes, frame["city"])
    imported = take(fitted, sample=tmp_path / "notes.csv")
    (feature,) = imported.manifest.features
    assert (feature.name, feature.type, feature.categories) == ("note", "string", None)
    answer = _ask(imported.folder, [{"note": "OSLO number 3"}])
    np.testing.assert_allclose(answer, fitted.predict_proba(["OSLO number 3"]), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "output", "shape"),
    [(KMeans(3, random_state=1), "cluster", ()), (IsolationForest(n_estimators=5), "score", ())],
)
def test_other_estimators_answer_what_they_are_for(
    model: Any, output: str, shape: tuple[int, ...], take: Take, frame: Any, data: Path
) -> None:
    imported = take(pipeline(model).fit(frame), sample=data)
    assert [(o.name, o.shape) for o in imported.manifest.outputs] == [(output, shape)]


def test_transformer_becomes_a_preprocessing_graph(take: Take, frame: Any, data: Path) -> None:
    fitted = columns().fit(frame)
    imported = take(fitted, sample=data, name="features")
    answer = _ask(imported.folder, _payloads(imported.manifest, frame))
    np.testing.assert_allclose(answer, fitted.transform(frame), atol=1e-5)


def test_columns_chosen_by_place_and_ordinal_codes(take: Take, frame: Any, tmp_path: Path) -> None:
    rows = frame[["age", "city"]]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    chosen = ColumnTransformer([("city", OrdinalEncoder(), [1]), ("age", "passthrough", [0])])
    fitted = make_pipeline(chosen, DecisionTreeRegressor(random_state=1))
    fitted.fit(rows.to_numpy(object), frame["income"])
    imported = take(fitted, sample=tmp_path / "rows.csv")
    assert imported.manifest.features[1].categories == ("Lima", "Oslo", "Rome")
    answer = _ask(imported.folder, [{"age": 40, "city": "Oslo"}])
    expected = fitted.predict(np.array([[40, "Oslo"]], object))
    np.testing.assert_allclose(answer.ravel(), expected, rtol=1e-6)


def _log(values: Any) -> Any:
    return np.log1p(values)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (pipeline(LogisticRegression()), "not fitted"),
        (make_pipeline(FunctionTransformer(_log), LinearRegression()), "FunctionTransformer"),
        (
            TransformedTargetRegressor(LinearRegression(), transformer=StandardScaler()),
            "TransformedTargetRegressor cannot be converted to ONNX",
        ),
        (MultiOutputClassifier(LogisticRegression()), "several targets"),
        ({"not": "a model"}, "dict is no scikit-learn estimator"),
    ],
    ids=["unfitted", "function", "target", "several", "dict"],
)
def test_what_cannot_be_exported_is_refused_in_one_line(
    model: Any, said: str, take: Take, frame: Any, tmp_path: Path
) -> None:
    numbers = frame[["age", "income"]]
    numbers.to_csv(tmp_path / "numbers.csv", index=False)
    if said == "several targets":
        model.fit(numbers, frame[["city", "bought"]])
    elif said != "not fitted" and hasattr(model, "fit"):
        model.fit(numbers, frame["income"])
    with pytest.raises(ImportRefused, match=said) as refused:
        take(model, sample=tmp_path / "numbers.csv")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "models").exists()


def test_beyond_the_tolerance_nothing_is_written(
    take: Take, frame: Any, data: Path, tmp_path: Path
) -> None:
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    with pytest.raises(ImportRefused, match=r"differs from the original by .* tolerance of 1e-30"):
        take(fitted, sample=data, tolerance=1e-30)
    assert not (tmp_path / "models").exists()


def test_probabilities_that_contradict_the_classes_are_refused(
    take: Take, frame: Any, data: Path
) -> None:
    model = LogisticRegression()
    fitted = pipeline(model).fit(frame, frame["bought"])
    # As a support vector machine with probability=True: it predicts by another rule.
    model.predict = lambda rows: np.full(len(rows), "yes")
    with pytest.raises(ImportRefused, match=r"not the class the model predicts in \d+ of 299 rows"):
        take(fitted, sample=data)


def test_labels_may_have_other_names_than_the_classes(take: Take, frame: Any, data: Path) -> None:
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    imported = take(fitted, sample=data, labels=("leaves", "buys"))
    assert imported.manifest.outputs[0].labels == ("leaves", "buys")
    with pytest.raises(ImportRefused, match="there are 3 labels"):
        take(fitted, sample=data, labels=("a", "b", "c"), name="three")


def test_a_pickle_is_loaded_only_when_it_is_trusted(
    take: Take, frame: Any, data: Path, tmp_path: Path
) -> None:
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    joblib.dump(fitted, tmp_path / "shop.joblib")
    skops.io.dump(fitted, tmp_path / "safe.skops")
    with pytest.raises(ImportRefused, match=r"runs whatever code is in it.*--trust"):
        take(source=str(tmp_path / "shop.joblib"), sample=data)
    imported = take(source=str(tmp_path / "shop.joblib"), sample=data, trust=True)
    assert imported.folder.name == "shop"
    card = json.loads((imported.folder / "1" / "card.json").read_text())
    assert list(card["imported"]["files"]) == ["shop.joblib"]
    assert str(tmp_path) not in json.dumps(card)
    assert take(source=str(tmp_path / "safe.skops"), sample=data).folder.name == "safe"


def test_a_version_that_is_there_is_replaced_only_on_demand(
    take: Take, frame: Any, data: Path
) -> None:
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    imported = take(fitted, sample=data)
    with pytest.raises(ImportRefused, match="has a version 1; say --replace"):
        take(fitted, sample=data)
    take(fitted, sample=data, replace=True)
    take(fitted, sample=data, version="2")
    other = pipeline(KMeans(3, random_state=1)).fit(frame)
    with pytest.raises(ImportRefused, match="has versions with other outputs"):
        take(other, sample=data, version="3")
    versions = [v for v in imported.folder.iterdir() if v.is_dir()]
    assert sorted(version.name for version in versions) == ["1", "2"]
