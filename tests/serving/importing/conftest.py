"""Small trained models and their rows; what is imported is compared with these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from serving.importing.importer import Imported, import_model
from serving.importing.request import Request


@pytest.fixture(scope="session")
def frame() -> Any:
    """300 customers: two numbers, two categories, and whether they bought."""
    draw = np.random.default_rng(1)
    columns = {
        "age": draw.integers(18, 70, 300),
        "income": draw.normal(30_000.0, 9_000.0, 300).round(2),
        "city": draw.choice(["Rome", "Oslo", "Lima"], 300),
        "home plan": draw.choice(["a", "b"], 300),
        "ignored": draw.normal(size=300),
    }
    rows = pd.DataFrame(columns)
    rows["bought"] = np.where(rows.age + rows.income / 1_000 > 75, "yes", "no")
    return rows


@pytest.fixture
def data(frame: Any, tmp_path: Path) -> Path:
    """The rows as a CSV, a value missing in the fourth."""
    rows = frame.copy()
    rows.loc[3, "city"] = None
    rows.to_csv(tmp_path / "data.csv", index=False)
    return tmp_path / "data.csv"


def columns(numbers: Any = None) -> ColumnTransformer:
    """Unfitted preprocessing as people write it: imputed and scaled numbers, encoded strings."""
    strings = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(sparse_output=False),
    )
    scaled = numbers or make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [("numbers", scaled, ["age", "income"]), ("strings", strings, ["city", "home plan"])]
    )


def pipeline(model: Any) -> Pipeline:
    """Unfitted: :func:`columns`, then the model."""
    return Pipeline([("columns", columns()), ("model", model)])


@pytest.fixture
def take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import an object of this process, or what the options say, below ``tmp_path/models``."""

    def run(found: Any = None, **options: Any) -> Imported:
        if found is not None:
            monkeypatch.setattr("serving.importing.load.find", lambda reference: found)
            options.setdefault("source", "somewhere:model")
        return import_model(Request(out=tmp_path / "models", **options))

    return run
