"""Rows of the weight-change data set: a seeded generator of any number, and the original's reader.

The rules were recovered from the 100 public rows of "Comprehensive Weight Change Prediction"
(Kaggle, abdullah0a); each holds on every public row it covers. Two draws of the target (poor
sleep, high stress) are noise, so no model explains all of its variance: see `expected_change`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serving.dataset import Column, Dataset, Floats
from serving.weight_change.definition import CATEGORIES, COLUMNS, INTEGERS, TARGET

Strings = npt.NDArray[np.object_]

ACTIVITY_FACTORS = {
    "Sedentary": 1.2,
    "Lightly Active": 1.375,
    "Moderately Active": 1.55,
    "Very Active": 1.725,
}
SLEEP_SHARES = {"Excellent": 0.16, "Fair": 0.24, "Good": 0.22, "Poor": 0.38}
WEIGHT_MEAN, WEIGHT_DEVIATION, WEIGHT_LOWEST = 172.0, 30.0, 100.0
# Fitted to the public rows by maximum likelihood, the rows on the cap counted as censored.
CALORIES_NOISE = 233.0
CALORIES_CAP = 4000.0
CALORIES_PER_POUND = 3500.0
STRESS_LIMIT = 8
LOSS_LOW, LOSS_HIGH = 0.5, 2.0


def generate(rows: int, seed: int) -> Dataset:
    """Make rows by the rules of the public data set; the same seed gives the same rows.

    Raises:
        ValueError: `rows` is below 1.
    """
    if rows < 1:
        raise ValueError(f"rows: {rows} is below 1")
    draw = np.random.default_rng(seed)
    age = draw.integers(18, 60, rows).astype(np.float64)
    male = draw.random(rows) < 0.5
    weight: Floats = np.maximum(draw.normal(WEIGHT_MEAN, WEIGHT_DEVIATION, rows), WEIGHT_LOWEST)
    duration = draw.integers(1, 13, rows).astype(np.float64)
    stress = draw.integers(1, 10, rows).astype(np.float64)
    sleep = _choose(draw, SLEEP_SHARES, rows)
    activity = _choose(draw, dict.fromkeys(ACTIVITY_FACTORS, 0.25), rows)

    # Columns are rounded to 0.1 as in the original, each from the unrounded value before it.
    bmr = mifflin_st_jeor(weight, age, male)
    factor = np.array([ACTIVITY_FACTORS[name] for name in activity])
    calories = np.minimum(bmr * factor + draw.normal(0.0, CALORIES_NOISE, rows), CALORIES_CAP)
    bmr, calories = np.round(bmr, 1), np.round(calories, 1)
    surplus = np.round(calories - bmr, 1)

    loss = (sleep == "Poor") * draw.uniform(LOSS_LOW, LOSS_HIGH, rows)
    loss += (stress >= STRESS_LIMIT) * draw.uniform(LOSS_LOW, LOSS_HIGH, rows)
    columns: dict[str, Column] = {
        "age": age,
        "gender": np.where(male, "M", "F").astype(object),
        "current_weight": np.round(weight, 1),
        "bmr": bmr,
        "daily_calories_consumed": calories,
        "daily_caloric_surplus_deficit": surplus,
        "duration": duration,
        "stress_level": stress,
        "physical_activity_level": activity,
        "sleep_quality": sleep,
    }
    target = calorie_change(duration, surplus) - duration * loss
    return Dataset({name: columns[name] for name in COLUMNS}, target, TARGET.name)


def mifflin_st_jeor(weight: Floats, age: Floats, male: npt.NDArray[np.bool_]) -> Floats:
    """Basal metabolic rate in kcal/day as the public data set has it.

    Its author put pounds where the formula wants kilograms, and one height per gender (175 cm for
    men, 162 cm for women); kept, because the original rows are what is being modelled.
    """
    height = np.where(male, 175.0, 162.0)
    constant = np.where(male, 5.0, -161.0)
    rate: Floats = 10.0 * weight + 6.25 * height - 5.0 * age + constant
    return rate


def calorie_change(duration: Floats, surplus: Floats) -> Floats:
    """Weight change in lb by the calories alone: the weekly rate rounded to 0.1, times weeks."""
    return duration * np.round(surplus / CALORIES_PER_POUND, 1)


def expected_change(data: Dataset) -> Floats:
    """Mean of the target given the features, in lb, (n,): what a perfect model would answer.

    Its R² on some rows is the noise ceiling of those rows.
    """
    duration = data.numbers("duration")
    poor: npt.NDArray[np.bool_] = data.columns["sleep_quality"] == "Poor"
    draws = poor.astype(np.float64) + (data.numbers("stress_level") >= STRESS_LIMIT)
    loss = draws * (LOSS_LOW + LOSS_HIGH) / 2.0
    return calorie_change(duration, data.numbers("daily_caloric_surplus_deficit")) - duration * loss


def read_csv(path: Path) -> Dataset:
    """Read the original CSV (columns in any order, further ones ignored).

    Raises:
        OSError: the file cannot be read.
        ValueError: there are no rows, a column is missing, a number is none or not finite, a whole
            number is not whole, a category is unknown; the message names file, line and column.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        absent = [name for name in (*COLUMNS, TARGET.name) if name not in (reader.fieldnames or ())]
        if absent:
            raise ValueError(f"{path}: no column {', '.join(absent)}")
        lines = list(reader)
    if not lines:
        raise ValueError(f"{path}: no rows")
    columns: dict[str, Column] = {}
    for name in COLUMNS:
        texts = [line[name] for line in lines]
        columns[name] = (
            _categories(path, name, texts) if name in CATEGORIES else _numbers(path, name, texts)
        )
    target = _numbers(path, TARGET.name, [line[TARGET.name] for line in lines])
    return Dataset(columns, target, TARGET.name)


def _categories(path: Path, name: str, texts: list[str]) -> Strings:
    for line, text in enumerate(texts, 2):
        if text not in CATEGORIES[name]:
            raise ValueError(f"{path}, line {line}: {name}: unknown category {text!r}")
    return np.array(texts, dtype=object)


def _numbers(path: Path, name: str, texts: list[str]) -> Floats:
    values = np.empty(len(texts))
    for line, text in enumerate(texts, 2):
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = np.nan
        if not np.isfinite(value):
            raise ValueError(f"{path}, line {line}: {name}: not a finite number: {text!r}")
        if name in INTEGERS and not value.is_integer():
            raise ValueError(f"{path}, line {line}: {name}: not a whole number: {text!r}")
        values[line - 2] = value
    return values


def _choose(draw: np.random.Generator, shares: Mapping[str, float], rows: int) -> Strings:
    names = np.array(list(shares), dtype=object)
    return names[draw.choice(len(names), rows, p=list(shares.values()))]
