"""Planted faults: the features to blame are found by name, and nobody is blamed without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from gateway.models.manifest import Feature, Manifest
from loadtests.compare.parity.answers import Ask, Refusal
from loadtests.compare.parity.suspects import suspects
from loadtests.compare.results import Suspect
from loadtests.payloads import Payload
from tests.loadtests.compare.parity.conftest import (
    MANIFEST,
    ONNX,
    TORCHSERVE,
    Columns,
    Fault,
    ask_of,
    changed,
    session,
)
from tests.loadtests.test_payloads import manifest_of

NAMES = TORCHSERVE.name, ONNX.name
CALORIES = "daily_calories_consumed"
NUMBERS = [feature for feature in MANIFEST.features if feature.categories is None]
CATEGORIES = [feature for feature in MANIFEST.features if feature.categories is not None]


def only(name: str, change: Callable[[Any], Any]) -> Fault:
    def fault(columns: Columns) -> Columns:
        return columns | {name: change(columns[name].astype(float))}

    return fault


def confused(name: str, seen: dict[str, str]) -> Fault:
    def fault(columns: Columns) -> Columns:
        found = [seen.get(value, value) for value in columns[name]]
        return columns | {name: np.array(found, object)}

    return fault


def exchanged(one: str, other: str) -> Fault:
    return lambda columns: columns | {one: columns[other], other: columns[one]}


async def blamed(reference: Ask, candidate: Ask, seed: int = 0) -> list[Suspect]:
    found = await suspects(NAMES, (reference, candidate), MANIFEST, [], seed=seed)
    assert len(found) == len(MANIFEST.features)
    assert all(0 <= one.share <= 1 and 0 <= one.mismatch <= 2 for one in found)
    assert all(bool(one.words) == one.named for one in found)
    order = [(not one.named, -one.share) for one in found]
    assert order == sorted(order)
    return [one for one in found if one.named]


def names(found: list[Suspect]) -> set[str]:
    return {one.feature for one in found}


async def test_the_talks_fault(graph: ort.InferenceSession) -> None:
    (one,) = await blamed(ask_of(graph, only(CALORIES, np.log)), ask_of(graph))
    assert one.feature == CALORIES
    assert one.words.startswith(f"{TORCHSERVE.name} hardly reacts to {CALORIES}: ")
    assert (
        one.words.count(f"{TORCHSERVE.name} answers as {ONNX.name} does where {CALORIES} is") == 1
    )
    assert one.mismatch > 0.9


async def test_the_same_fault_in_the_candidate(graph: ort.InferenceSession) -> None:
    (one,) = await blamed(ask_of(graph), ask_of(graph, only(CALORIES, np.log)))
    assert one.feature == CALORIES
    assert one.words.startswith(f"{ONNX.name} hardly reacts to {CALORIES}: ")


def faults_of(feature: Feature) -> dict[str, Fault]:
    name = feature.name
    if feature.categories is not None:
        first, *others = feature.categories
        turned = dict(zip(feature.categories, [*others, first], strict=True))
        return {
            "ignored": confused(name, dict.fromkeys(feature.categories, first)),
            "turned": confused(name, turned),
            "never known": confused(name, dict.fromkeys(feature.categories, "unknown")),
        }
    assert feature.range is not None
    low, high = feature.range
    found = {
        "ignored": only(name, lambda column: np.full_like(column, (low + high) / 2)),
        "scaled": only(name, lambda column: column * 0.4536),
        "shifted": only(name, lambda column: column + (high - low) / 4),
    }
    if low > 0:
        found["logarithm"] = only(name, np.log)
    return found


@pytest.mark.parametrize("feature", MANIFEST.features, ids=lambda feature: feature.name)
async def test_a_fault_of_one_feature_names_it(
    feature: Feature, graph: ort.InferenceSession
) -> None:
    for kind, fault in faults_of(feature).items():
        found = await blamed(ask_of(graph), ask_of(graph, fault))
        assert names(found) == {feature.name}, kind


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bmr", CALORIES),
        ("age", "current_weight"),
        ("duration", "stress_level"),
        ("current_weight", "daily_caloric_surplus_deficit"),
    ],
)
async def test_exchanged_features_are_both_named(
    one: str, other: str, graph: ort.InferenceSession
) -> None:
    found = await blamed(ask_of(graph), ask_of(graph, exchanged(one, other)))
    assert names(found) == {one, other}
    assert found[0].words.startswith(f"{ONNX.name} answers as {TORCHSERVE.name} does with ")
    assert "exchanged" in found[0].words


async def test_exchanged_after_scaling(graph: ort.InferenceSession) -> None:
    def fault(columns: Columns) -> Columns:
        (low, high), (lowest, highest) = (1, 12), (1500, 3900)
        duration = low + (columns["bmr"] - lowest) / (highest - lowest) * (high - low)
        bmr = lowest + (columns["duration"] - low) / (high - low) * (highest - lowest)
        return columns | {"duration": duration, "bmr": bmr}

    found = await blamed(ask_of(graph), ask_of(graph, fault))
    assert names(found) == {"duration", "bmr"}
    assert found[0].words.endswith("exchanged on the scale of their ranges")


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("how", ["each", "all", "factor"])
async def test_a_general_fault_names_nobody(
    how: str, seed: int, graph: ort.InferenceSession
) -> None:
    random = np.random.default_rng(seed)
    changes: dict[str, Callable[[Any], Any]] = {
        "each": lambda values: values + 1e-2 * random.standard_normal(values.shape),
        "all": lambda values: values + 1e-2,
        "factor": lambda values: values * (1 + 1e-2 * random.standard_normal(values.shape)),
    }
    wrong = ask_of(session(changed(changes[how])))
    assert not await blamed(ask_of(graph), wrong, seed)


async def test_a_constant_difference_names_nobody(graph: ort.InferenceSession) -> None:
    right = ask_of(graph)

    async def shifted(payloads: Any) -> Any:
        answers: Any = await right(payloads)
        return [{"weight_change": answer["weight_change"] + 1} for answer in answers]

    assert not await blamed(right, shifted)


async def test_rows_one_cannot_answer_are_left_out(graph: ort.InferenceSession) -> None:
    wrong = ask_of(graph, only(CALORIES, np.log))

    async def picky(payloads: Any) -> Any:
        answers = await wrong(payloads)
        return [
            Refusal("too old") if payload["age"] > 50 else answer
            for payload, answer in zip(payloads, answers, strict=True)
        ]

    assert names(await blamed(ask_of(graph), picky)) == {CALORIES}


async def test_a_fault_that_shows_only_outside_the_range(graph: ort.InferenceSession) -> None:
    clipped = ask_of(graph, only("duration", lambda column: np.minimum(column, 12)))
    rows: list[Payload] = [
        MANIFEST.example | {"stress_level": 1 + i % 9, "duration": 20 + i, "age": 20 + i}
        for i in range(24)
    ]
    found = await suspects(NAMES, (ask_of(graph), clipped), MANIFEST, rows)
    assert [one.feature for one in found if one.named] == ["duration"]


async def test_labels_are_compared_too() -> None:
    manifest = manifest_of(
        Feature("size", "number", range=(0, 10)),
        Feature("colour", "string", categories=("red", "green", "blue")),
        Feature("big", "boolean"),
    )

    def label(size: float, colour: str, big: bool) -> str:
        return colour if big else "large" if size > 5 else "small"

    async def right(payloads: Any) -> Any:
        return [{"kind": label(p["size"], p["colour"], p["big"])} for p in payloads]

    async def wrong(payloads: Any) -> Any:
        return [{"kind": label(p["size"], p["colour"], not p["big"])} for p in payloads]

    found = await suspects(NAMES, (right, wrong), manifest, [])
    assert {one.feature for one in found if one.named} == {"big"}


async def test_one_feature_alone_is_not_suspected() -> None:
    async def ask(payloads: Any) -> Any:
        return [{"y": payload["x"]} for payload in payloads]

    manifest: Manifest = manifest_of(Feature("x", "number"))
    assert await suspects(NAMES, (ask, ask), manifest, []) == []


async def test_nothing_but_refusals(graph: ort.InferenceSession) -> None:
    async def no(payloads: Any) -> Any:
        return [Refusal("no") for _ in payloads]

    for pair in ((no, no), (ask_of(graph), no)):
        found = await suspects(NAMES, pair, MANIFEST, [])
        assert not any(one.named for one in found)
