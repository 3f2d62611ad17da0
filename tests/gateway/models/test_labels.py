"""Labels of outputs: which word goes with which numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.errors import ModelError
from gateway.models.labels import Labels
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output


def manifest(*outputs: Output) -> Manifest:
    made = Manifest("m", (Feature("x", "number"),), outputs, {"onnx": BackendSpec({"a": {}})})
    made.check()
    return made


def labels(*outputs: Output) -> Labels:
    return Labels(manifest(*outputs))


def test_one_probability_is_held_against_the_threshold() -> None:
    values = np.array([0.0, 0.49, 0.5, 1.0, np.nan], np.float32)
    made = labels(Output("p", labels=("no", "yes")))
    assert made.columns({"p": values}) == {"label": ["no", "no", "yes", "yes", None]}
    made = labels(Output("p", labels=("no", "yes"), threshold=0.75))
    assert made.columns({"p": values}) == {"label": ["no", "no", "no", "yes", None]}


def test_of_several_the_largest_wins() -> None:
    made = labels(Output("p", labels=("a", "b", "c"), shape=(3,)))
    values = np.array([[0.1, 0.7, 0.2], [5, -1, 4], [0, 0, np.inf], [0, np.nan, 1]])
    assert made.columns({"p": values}) == {"label": ["b", "a", None, None]}


def test_two_labelled_outputs_have_keys_of_their_own() -> None:
    made = labels(
        Output("p", labels=("no", "yes")), Output("plain"), Output("q", labels=("low", "high"))
    )
    found = made.columns({"p": np.array([1.0]), "plain": np.array([1.0]), "q": np.array([0])})
    assert found == {"p_label": ["yes"], "q_label": ["low"]}


@pytest.mark.parametrize(
    "values", [np.zeros((2, 4)), np.zeros((2, 3, 1)), np.zeros(2), np.array(["a"])]
)
def test_what_does_not_fit_the_labels_is_said(values: Any) -> None:
    with pytest.raises(ValueError, match="output p"):
        labels(Output("p", labels=("a", "b", "c"), shape=(3,))).columns({"p": values})


@pytest.mark.parametrize(
    "outputs",
    [
        (Output("p", threshold=0.5),),
        (Output("p", labels=("one",)),),
        (Output("p", labels=("same", "same")),),
        (Output("p", labels=("a", "b", "c")),),
        (Output("p", labels=("a", "b", "c"), shape=(2,)),),
        (Output("p", labels=("a", "b"), shape=(2, 2)),),
        (Output("p", labels=("a", "b"), shape=(2,), threshold=0.5),),
        (Output("p", labels=("a", "b")), Output("label")),
    ],
)
def test_outputs_that_contradict_themselves_are_refused(outputs: tuple[Output, ...]) -> None:
    with pytest.raises(ModelError, match="output"):
        manifest(*outputs)
