"""The bodies the users send."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.models.manifest import Manifest
from gateway.models.validator import Validator
from loadtests.users.bodies import BATCH_ROWS, Bodies
from tests.conftest import MIXED, REPOSITORY

MANIFEST = Manifest.load(REPOSITORY / "weight-change")
IMAGE: dict[str, Any] = MIXED | {
    "features": [{"name": "x", "type": "tensor", "shape": [3, 100, 100]}]
}


def test_single_and_batch_bodies_are_taken() -> None:
    bodies, validator, random = Bodies(MANIFEST), Validator(MANIFEST), Random(0)
    assert bodies.sizes == list(BATCH_ROWS)
    singles = {bodies.single(random) for _ in range(100)}
    assert len(singles) > 50
    assert all(validator.decode(single).count == 1 for single in singles)
    assert [validator.decode(bodies.batch(random, rows)).count for rows in bodies.sizes] == [
        *BATCH_ROWS
    ]


def test_bad_bodies_are_refused_as_they_say() -> None:
    bodies, validator, random = Bodies(MANIFEST), Validator(MANIFEST), Random(0)
    wrong = {bodies.refused(random) for _ in range(500)}
    assert len(wrong) > 10
    for each in wrong:
        with pytest.raises(InvalidRequest) as refusal:
            validator.decode(each.body)
        assert refusal.value.status == each.status, each.name


def test_the_same_random_numbers_give_the_same_bodies() -> None:
    one, other = (
        [bodies.single(random) for _ in range(20)]
        for bodies, random in ((Bodies(MANIFEST), Random(3)), (Bodies(MANIFEST), Random(3)))
    )
    assert one == other


def test_large_rows_make_few_and_small_batches() -> None:
    manifest = msgspec.convert(IMAGE, Manifest)
    bodies = Bodies(manifest, batch_rows=(16, 1_000))
    assert bodies.sizes == [16]
    assert Bodies(manifest, batch_rows=(1_000,)).sizes == [2]
    body = bodies.batch(Random(0), 2)
    assert Validator(manifest).decode(body).count == 2
