"""The handler with a model that looks at pictures: the committed archive of digit-three."""

from __future__ import annotations

import zipfile
from typing import Any

import numpy as np
import pytest

from gateway.models.graph import Graph
from gateway.models.manifest import Manifest
from gateway.models.validator import Validator
from serving import layout
from tests.conftest import ROOT
from tests.handlers.test_handler import Handle, make_handle
from tests.pictures import draw, encoded, text

MODEL = ROOT / "serving" / "examples" / "digit-three"
THREE = Manifest.load(MODEL).example
OTHER = encoded(draw((40, 30)), "JPEG")


@pytest.fixture(scope="module")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Handle:
    folder = tmp_path_factory.mktemp("digit-three")
    path = MODEL / layout.VERSION / layout.archive_name("digit-three")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return make_handle(folder)[1]


def expected(*payloads: dict[str, Any]) -> list[float]:
    """What the merged graph answers."""
    rows = Validator(Manifest.load(MODEL)).convert(payloads)
    answer = Graph(MODEL / layout.VERSION / layout.PYTORCH).run(rows)
    values: list[float] = answer["probability"][:, 0].tolist()
    return values


def test_it_takes_and_answers_what_the_gateway_does(handle: Handle) -> None:
    rows = [THREE, {"image": text(OTHER)}, {"image": {"b64": text(OTHER)}}]
    [(status, answer)] = handle({"body": {"instances": rows}})
    assert status == 200
    assert [row["probability"] for row in answer] == pytest.approx(expected(*rows), abs=1e-5)
    assert [row["label"] for row in answer] == [
        "3" if value >= 0.5 else "no 3" for value in expected(*rows)
    ]
    assert answer[0]["label"] == "3"


@pytest.mark.parametrize("key", ["body", "data", "image"])
def test_it_takes_the_picture_itself(handle: Handle, key: str) -> None:
    [(status, answer)] = handle({key: bytearray(OTHER)})
    assert status == 200
    assert answer["probability"] == pytest.approx(expected({"image": OTHER})[0], abs=1e-5)


def test_what_the_gateway_joins_may_have_as_much_as_each_request(handle: Handle) -> None:
    large = {"image": text(encoded(np.zeros((1_000, 1_000), np.uint8)))}
    [(status, answer)] = handle({"body": {"instances": [large] * 17}})
    assert status == 200
    assert len(answer) == 17


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"body": {"image": text(b"no picture")}}, "image"),
        ({"body": {"image": 3}}, "image"),
        ({"image": OTHER[:100]}, "image"),
        ({"body": OTHER[:100]}, "image"),
        ({"body": b"GIF89a"}, "body"),
    ],
)
def test_one_bad_picture_fails_alone(handle: Handle, request_: Any, field: str) -> None:
    [(bad, problem), (good, answer)] = handle(request_, {"body": THREE})
    assert (bad, good) == (400, 200)
    assert problem["errors"][0]["field"] == field
    assert answer["label"] == "3"
