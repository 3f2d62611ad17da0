"""The example as rows: where it holds pictures, the event loop does not decode them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import InvalidInput
from gateway.models.example import example_rows
from gateway.models.manifest import BackendSpec, Feature, Manifest, Output
from gateway.models.repository import ModelVersion
from gateway.models.validator import Validator


@pytest.mark.parametrize(
    ("feature", "elsewhere"),
    [(Feature("x", "image", size=(4, 6)), True), (Feature("x", "number", example=3), False)],
)
async def test_only_pictures_are_left_to_a_thread(
    feature: Feature, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest("m", (feature,), (Output("y"),), {"onnx": BackendSpec({"only": {}})})
    model = ModelVersion(manifest, "1", Path(), Validator(manifest))
    threads = []
    convert = Validator.convert

    def noted(self: Validator, *given: Any) -> Any:
        threads.append(threading.get_ident())
        return convert(self, *given)

    monkeypatch.setattr(Validator, "convert", noted)
    rows = await example_rows(model)
    assert (rows.count, list(rows.columns)) == (1, ["x"])
    assert (threads[0] != threading.get_ident()) is elsewhere


async def test_an_example_that_does_not_fit_is_refused() -> None:
    feature = Feature("x", "number", example="three")
    manifest = Manifest("m", (feature,), (Output("y"),), {"onnx": BackendSpec({"only": {}})})
    with pytest.raises(InvalidInput):
        await example_rows(ModelVersion(manifest, "1", Path(), Validator(manifest)))
