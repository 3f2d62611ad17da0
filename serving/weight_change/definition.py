"""The weight-change payload: every feature once, in the order of the descriptive payload."""

from __future__ import annotations

from gateway.models.manifest import Feature, Manifest, Output
from serving import layout

NAME = "weight-change"
#: Passes over the rows, of both networks.
EPOCHS = 40

FEATURES = (
    Feature("age", "integer", "Age of the person.", "years", example=22),
    Feature("gender", "string", "Gender of the person.", categories=("F", "M"), example="F"),
    Feature("current_weight", "number", "Weight at the start.", "lb", example=155),
    Feature("bmr", "number", "Basal metabolic rate.", "kcal/day", example=1300.0),
    Feature("daily_calories_consumed", "number", "Energy eaten.", "kcal/day", example=1600.0),
    Feature(
        "daily_caloric_surplus_deficit",
        "number",
        "Energy eaten beyond the basal metabolic rate.",
        "kcal/day",
        example=90.0,
    ),
    Feature("duration", "integer", "How long the person is observed.", "weeks", example=75.0),
    Feature("stress_level", "integer", "Stress, from 1 (calm) to 9.", example=90),
    Feature(
        "physical_activity_level",
        "string",
        "How active the person is.",
        categories=("Lightly Active", "Moderately Active", "Sedentary", "Very Active"),
        example="Very Active",
    ),
    Feature(
        "sleep_quality",
        "string",
        "How well the person sleeps.",
        categories=("Excellent", "Fair", "Good", "Poor"),
        example="Excellent",
    ),
)

TARGET = Output("weight_change", "Change of weight over the duration.", "lb")

MANIFEST = Manifest(
    name=NAME,
    description="Weight change of a person over some weeks, by a tanh network 17-15-7-1.",
    features=FEATURES,
    outputs=(TARGET,),
    backends=layout.backends(NAME),
)

COLUMNS = tuple(feature.name for feature in FEATURES)
CATEGORIES = {f.name: f.categories for f in FEATURES if f.categories is not None}
NUMBERS = tuple(name for name in COLUMNS if name not in CATEGORIES)
INTEGERS = tuple(feature.name for feature in FEATURES if feature.type == "integer")
