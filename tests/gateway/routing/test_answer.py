"""Answers out of one call's results: labels that do not fit are every request's error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.backends import Target
from gateway.errors import BackendError
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.repository import Repository
from gateway.routing.answer import Answer, Results

MANIFEST = Manifest(
    "m",
    (Feature("x", "number"),),
    (Output("p", labels=("a", "b", "c"), shape=(3,)),),
    {"memory": BackendSpec({"only": {}})},
)
TARGET = Target("memory", Repository().add(MANIFEST, "1", Path()), "only", {})


def test_labels_go_with_their_rows() -> None:
    results = Results({"p": np.array([[0.0, 1, 0], [1, 0, 0]])}, TARGET, 2, 0.001)
    assert Answer(results, 1, 2, 0.0).objects == [{"p": [1, 0, 0], "label": "a"}]
    assert Answer(results, 0, 1, 0.0).objects == [{"p": [0, 1, 0], "label": "b"}]


def test_outputs_that_do_not_fit_their_labels_are_an_error_of_every_request() -> None:
    results = Results({"p": np.zeros((2, 4))}, TARGET, 2, 0.001)
    for start in range(2):
        with pytest.raises(BackendError, match="memory: output p has 4 values a row for 3 labels"):
            _ = Answer(results, start, start + 1, 0.0).objects
