"""What an import keeps of the manifest that is there, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from serving.importing.errors import ImportRefused
from serving.importing.importer import Imported
from tests.serving.importing.conftest import pipeline

Take = Callable[..., Imported]


@pytest.fixture
def first(take: Take, frame: Any, data: Path) -> Path:
    """The folder of a first version, whose manifest somebody has worked on."""
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    folder = take(fitted, sample=data, name="shop").folder

    def work_on(content: Any) -> None:
        content["description"] = "Whether a customer buys."
        content["features"][1] |= {"description": "Before taxes.", "unit": "€"}
        content["outputs"][0]["description"] = "Per answer."
        content |= {"out_of_range": "reject", "batching": {"max_batch_size": 8}}

    edit(folder, work_on)
    return folder


def read(folder: Path) -> Any:
    return yaml.safe_load((folder / "model.yaml").read_text())


def edit(folder: Path, how: Callable[[Any], None]) -> None:
    content = read(folder)
    how(content)
    (folder / "model.yaml").write_text(yaml.safe_dump(content))


def older(frame: Any, path: Path) -> Any:
    """The rows of people ten years older, also in the file `path`."""
    rows = frame.assign(age=frame.age + 10)
    rows.to_csv(path, index=False)
    return rows


def test_a_second_version_keeps_what_people_wrote(
    first: Path, take: Take, frame: Any, data: Path
) -> None:
    rows = older(frame, data)
    fitted = pipeline(LogisticRegression()).fit(rows, rows["bought"])
    before = read(first)
    imported = take(fitted, sample=data, name="shop", version="2", tolerance=0.01)
    after = read(first)
    for section in ("description", "out_of_range", "batching", "outputs", "backends"):
        assert after[section] == before[section], section
    assert after["features"][1] == before["features"][1]
    # Of both versions, which the user is told.
    assert before["features"][0]["range"] == [18, 69]
    assert after["features"][0]["range"] == [18, 79]
    assert after["parity"] == {"absolute": 0.01}
    assert "age: the range is that of all versions, 18–79" in imported.notes
    assert "parity 0.01 holds for version 1 too" in imported.notes
    again = take(fitted, sample=data, name="shop", version="2", replace=True, tolerance=0.001)
    assert read(first) == after
    assert "parity stays 0.01, for version 1" in again.notes


def test_a_version_that_is_replaced_gives_its_place_and_not_what_people_wrote(
    first: Path, take: Take, frame: Any, data: Path
) -> None:
    before = read(first)
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    rows = older(frame, data)
    take(fitted, sample=data, name="shop", replace=True)
    after = read(first)
    assert after["features"][1] == before["features"][1]
    assert after["features"][0]["range"] == [rows.age.min(), rows.age.max()]
    assert (after["description"], after["out_of_range"]) == ("Whether a customer buys.", "reject")
    take(fitted, sample=data, name="shop", replace=True, description="Buyers.")
    assert read(first)["description"] == "Buyers."


def test_the_import_s_own_description_follows_the_model(take: Take, frame: Any, data: Path) -> None:
    forms = LogisticRegression(), DecisionTreeClassifier(max_depth=2)
    said = []
    for model in forms:
        fitted = pipeline(model).fit(frame, frame["bought"])
        take(fitted, sample=data, name="shop", replace=True)
        said.append(read(data.parent / "models" / "shop")["description"])
    assert "LogisticRegression" in said[0]
    assert "DecisionTreeClassifier" in said[1]


def test_a_version_with_other_categories_is_refused(
    first: Path, take: Take, frame: Any, data: Path
) -> None:
    before = (first / "model.yaml").read_bytes()
    rows = frame.assign(city=frame.city.replace("Rome", "Bern"))
    rows.to_csv(data, index=False)
    fitted = pipeline(LogisticRegression()).fit(rows, rows["bought"])
    with pytest.raises(ImportRefused, match=r"other features.*city: .*Rome.*there.*Bern.*--name"):
        take(fitted, sample=data, name="shop", version="2")
    assert (first / "model.yaml").read_bytes() == before
    assert [entry.name for entry in first.iterdir() if entry.is_dir()] == ["1"]
    take(fitted, sample=data, name="shop", replace=True)
    assert read(first)["features"][2]["categories"] == ["Bern", "Lima", "Oslo"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["features"][0].update(dtype="int32"), "age: integer, int32 there"),
        (lambda c: c["features"][0].update(name="years"), "years there, age here"),
        (lambda c: c["features"].pop(), "3 there, 4 here"),
        (lambda c: c["outputs"][0].update(labels=["a", "b"]), "probability: .*'a', 'b'"),
        (
            lambda c: c["backends"].update(tfserving={"lineages": {"b": {"model": "m"}}}),
            "other backends",
        ),
    ],
)
def test_a_version_that_the_manifest_cannot_describe_too_is_refused(
    change: Callable[[Any], None], said: str, first: Path, take: Take, frame: Any, data: Path
) -> None:
    edit(first, change)
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    with pytest.raises(ImportRefused, match=said):
        take(fitted, sample=data, name="shop", version="2")
    assert not (first / "2").exists()


def test_a_version_takes_the_numbers_that_the_manifest_has(
    first: Path, take: Take, frame: Any, data: Path
) -> None:
    edit(first, lambda content: content["features"][1].update(dtype="float64"))
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    imported = take(fitted, sample=data, name="shop", version="2")
    assert imported.manifest.features[1].dtype == "float64"


def test_a_manifest_that_cannot_be_read_is_refused(
    first: Path, take: Take, frame: Any, data: Path
) -> None:
    (first / "model.yaml").write_text("name: [")
    fitted = pipeline(LogisticRegression()).fit(frame, frame["bought"])
    with pytest.raises(ImportRefused, match=r"has a manifest already: .*model\.yaml"):
        take(fitted, sample=data, name="shop", version="2")
