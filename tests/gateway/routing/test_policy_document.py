"""Edits of a routing policy's document, and the YAML they are written as."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.routing.policy import Policy, Route, parse
from gateway.routing.policy_document import Document, head_of, set_value, shift, write

OFFERS = {
    "weight-change": {"onnx": ["pytorch"], "torchserve": ["pytorch"], "tfserving": ["tensorflow"]}
}


@pytest.mark.parametrize(
    ("written", "percent", "weights"),
    [
        ({"default": "torchserve"}, 10, {"torchserve": 90, "onnx": 10}),
        (
            {"canary": {"weights": {"onnx": 10, "torchserve": 90}}},
            20.5,
            {"onnx": 20.5, "torchserve": 79.5},
        ),
        (
            {"canary": {"weights": {"torchserve": 60, "tfserving": 30, "onnx": 10}}},
            40,
            {"torchserve": 40, "tfserving": 20, "onnx": 40},
        ),
        (
            {"canary": {"weights": {"onnx": 100, "torchserve": 0, "tfserving": 0}}},
            50,
            {"onnx": 50, "torchserve": 25, "tfserving": 25},
        ),
        (
            {"default": "torchserve", "canary": {"weights": {"onnx": 100}}},
            90,
            {"onnx": 90, "torchserve": 10},
        ),
    ],
)
def test_a_shift_divides_the_rest_in_proportion(
    written: dict[str, object], percent: float, weights: dict[str, float]
) -> None:
    document: Document = {"models": {"weight-change": written}}
    shift(document, "weight-change", "onnx", percent)
    shifted = document["models"]["weight-change"]["canary"]["weights"]
    # The order counts too: the file's stays, so that its change is small in Git.
    assert list(shifted.items()) == list(weights.items())


def test_a_shift_needs_another_side() -> None:
    document: Document = {"models": {"m": {"default": "onnx"}}}
    with pytest.raises(ConfigError, match="who shares with onnx is open"):
        shift(document, "m", "onnx", 10, ["onnx", "torchserve", "tfserving"])
    assert document == {"models": {"m": {"default": "onnx"}}}
    shift(document, "m", "onnx/pytorch", 10, ["onnx", "torchserve"])
    assert document["models"]["m"]["canary"] == {"weights": {"onnx": 90, "onnx/pytorch": 10}}
    with pytest.raises(ConfigError, match="101 is no percentage"):
        shift(document, "m", "onnx", 101)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_any_row_of_shifts_leaves_a_valid_policy(percentages: list[float]) -> None:
    document: Document = {"models": {"weight-change": {"default": "torchserve"}}}
    for index, percent in enumerate(percentages):
        route = ("onnx", "tfserving", "torchserve")[index % 3]
        shift(document, "weight-change", route, percent)
        policy = parse(write(document), OFFERS).of("weight-change")
        assert policy.canary is not None
        assert policy.canary.weights[Route(route)] == pytest.approx(percent, abs=1e-9)


def test_edits_set_and_remove() -> None:
    document: Document = {"models": {}}
    set_value(document, "weight-change", "fallback", ["onnx"])
    assert parse(write(document), OFFERS).of("weight-change").fallback == (Route("onnx"),)
    set_value(document, "weight-change", "fallback", None)
    assert parse(write(document), OFFERS) == Policy()
    with pytest.raises(ConfigError, match="allowed: default, fallback, canary, shadow"):
        set_value(document, "weight-change", "defualt", "onnx")


def test_the_document_is_written_as_people_write_it() -> None:
    weights = {"torchserve": 90, "onnx": 10}
    document: Document = {
        "models": {
            "weight-change": {"default": "auto", "canary": {"weights": weights}},
            "other": {"default": "auto", "canary": {"weights": weights}},
        }
    }
    lines = ["    default: auto", "    canary:", "      weights: {torchserve: 90, onnx: 10}"]
    expected = ["models:", "  weight-change:", *lines, "  other:", *lines]
    assert write(document, "# Who answers.\n") == "\n".join(["# Who answers.", *expected, ""])


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("", ""),
        ("models: {}\n", ""),
        ("# one\n\n# two\nmodels: {} # no\n# no\n", "# one\n\n# two\n"),
        ("# all\n", "# all\n"),
    ],
)
def test_the_head_is_the_comment_a_file_begins_with(text: str, head: str) -> None:
    assert head_of(text) == head
