"""The generator and the reader: the rules of facts, on generated rows and on the original ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from serving import metrics
from serving.dataset import Dataset
from serving.weight_change import data
from serving.weight_change.definition import CATEGORIES, COLUMNS, INTEGERS, MANIFEST, NUMBERS

ROWS = 20_000


@pytest.fixture(scope="module")
def generated() -> Dataset:
    return data.generate(ROWS, seed=11)


@pytest.fixture
def original(original_csv: Path) -> Dataset:
    return data.read_csv(original_csv)


@pytest.fixture(params=["generated", "original"])
def either(request: pytest.FixtureRequest) -> Dataset:
    rows: Dataset = request.getfixturevalue(request.param)
    return rows


def test_bmr_follows_from_weight_age_and_gender(either: Dataset) -> None:
    male = either.columns["gender"] == "M"
    bmr = data.mifflin_st_jeor(either.numbers("current_weight"), either.numbers("age"), male)
    # The weight is rounded to 0.1 after the rate was computed from it: 10 × 0.05, and 0.05.
    assert np.abs(bmr - either.numbers("bmr")).max() <= 0.55 + 1e-9


def test_surplus_is_calories_less_bmr(either: Dataset) -> None:
    surplus = either.numbers("daily_calories_consumed") - either.numbers("bmr")
    assert np.abs(surplus - either.numbers("daily_caloric_surplus_deficit")).max() <= 0.1 + 1e-9


def test_target_is_exact_where_nothing_is_drawn(either: Dataset) -> None:
    calm = either.numbers("stress_level") < data.STRESS_LIMIT
    calm &= either.columns["sleep_quality"] != "Poor"
    assert calm.sum() >= 50
    difference = np.abs(data.expected_change(either) - either.target)[calm]
    assert difference.max() <= 1e-9


def test_losses_by_sleep_and_stress_stay_within_their_draws(either: Dataset) -> None:
    duration = either.numbers("duration")
    by_calories = data.calorie_change(duration, either.numbers("daily_caloric_surplus_deficit"))
    weekly = (by_calories - either.target) / duration
    draws = (either.columns["sleep_quality"] == "Poor").astype(int)
    draws += either.numbers("stress_level") >= data.STRESS_LIMIT
    for count in (1, 2):
        drawn = weekly[draws == count]
        assert len(drawn) >= 10
        assert drawn.min() >= count * data.LOSS_LOW
        assert drawn.max() <= count * data.LOSS_HIGH


def test_calories_lie_around_activity_times_bmr_under_the_cap(either: Dataset) -> None:
    calories = either.numbers("daily_calories_consumed")
    activity = either.columns["physical_activity_level"]
    factor = np.array([data.ACTIVITY_FACTORS[name] for name in activity])
    noise = (calories - either.numbers("bmr") * factor)[calories < data.CALORIES_CAP]
    assert calories.max() == data.CALORIES_CAP
    assert np.abs(noise).max() < 5 * data.CALORIES_NOISE


@pytest.mark.parametrize("name", NUMBERS)
def test_generated_numbers_are_distributed_as_the_original(
    name: str, generated: Dataset, original: Dataset
) -> None:
    # At 0.001 a right generator fails one of 1,000 such comparisons; the seed is fixed.
    p_value = stats.ks_2samp(generated.numbers(name), original.numbers(name)).pvalue
    assert p_value > 0.001


@pytest.mark.parametrize("name", CATEGORIES)
def test_generated_categories_have_the_original_shares(
    name: str, generated: Dataset, original: Dataset
) -> None:
    shares = [(generated.columns[name] == category).mean() for category in CATEGORIES[name]]
    counts = [(original.columns[name] == category).sum() for category in CATEGORIES[name]]
    expected = np.array(shares) * len(original)
    assert stats.chisquare(counts, expected).pvalue > 0.001


def test_target_is_distributed_as_the_original(generated: Dataset, original: Dataset) -> None:
    assert stats.ks_2samp(generated.target, original.target).pvalue > 0.001


def test_noise_ceiling_of_the_original(original: Dataset) -> None:
    assert 0.85 < metrics.r2(original.target, data.expected_change(original)) < 0.92


def test_original_has_a_hundred_rows_in_manifest_order(original: Dataset) -> None:
    assert len(original) == 100
    assert tuple(original.columns) == COLUMNS
    assert original.columns["age"][0] == 56.0
    assert original.columns["physical_activity_level"][1] == "Very Active"
    assert original.target[5] == -12.5134981229797


def test_a_seed_gives_the_same_rows_and_another_gives_others() -> None:
    assert data.generate(500, 3).sha256() == data.generate(500, 3).sha256()
    assert data.generate(500, 3).sha256() != data.generate(500, 4).sha256()
    assert data.generate(500, 3).sha256() != data.generate(501, 3).sha256()


def test_generated_columns_are_typed_and_within_their_ranges(generated: Dataset) -> None:
    limits = {"age": (18, 59), "duration": (1, 12), "stress_level": (1, 9)}
    for name in INTEGERS:
        assert generated.ranges()[name] == limits[name]
        assert (generated.numbers(name) % 1 == 0).all()
    assert generated.ranges()["current_weight"][0] == data.WEIGHT_LOWEST
    for name, categories in CATEGORIES.items():
        assert set(generated.columns[name]) == set(categories)


def test_rows_carry_the_types_of_the_manifest(generated: Dataset) -> None:
    rows = generated.rows(MANIFEST)
    assert rows.count == ROWS
    assert {name: column.dtype for name, column in rows.columns.items()} == {
        feature.name: {"integer": np.int64, "number": np.float64, "string": object}[feature.type]
        for feature in MANIFEST.features
    }


def test_csv_text_is_read_back_unchanged(tmp_path: Path) -> None:
    rows = data.generate(50, 1)
    path = tmp_path / "rows.csv"
    path.write_text(rows.csv_text(), encoding="utf-8")
    again = data.read_csv(path)
    assert again.sha256() == rows.sha256()
    np.testing.assert_array_equal(again.matrix(), rows.matrix())


def test_no_rows_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="rows: 0 is below 1"):
        data.generate(0, 1)


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("age", "old", "line 3: age: not a finite number: 'old'"),
        ("bmr", "inf", "line 3: bmr: not a finite number: 'inf'"),
        ("bmr", "", "line 3: bmr: not a finite number: ''"),
        ("duration", "1.5", "line 3: duration: not a whole number: '1.5'"),
        ("gender", "m", "line 3: gender: unknown category 'm'"),
    ],
)
def test_reader_names_line_and_column_of_a_bad_value(
    tmp_path: Path, column: str, text: str, message: str
) -> None:
    lines = [line.split(",") for line in data.generate(3, 1).csv_text().splitlines()]
    lines[2][lines[0].index(column)] = text
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        data.read_csv(path)


def test_reader_names_missing_columns_and_missing_rows(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("age,gender\n20,F\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no column current_weight, bmr"):
        data.read_csv(path)
    path.write_text(data.generate(1, 1).csv_text().splitlines()[0], encoding="utf-8")
    with pytest.raises(ValueError, match="no rows"):
        data.read_csv(path)
