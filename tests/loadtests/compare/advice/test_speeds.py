from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadtests.compare.advice.cases import cases
from loadtests.compare.advice.speeds import Decided, decide
from loadtests.compare.results import Parity, Point, Results, Subject
from tests.loadtests.compare.factories import (
    DIRECT,
    ONNX,
    TORCHSERVE,
    Noise,
    one_round,
    parity,
    point,
    results,
)


def _decide(document: Results, unfit: Sequence[Point] = ()) -> list[Decided]:
    return decide(cases(document), document, unfit)


def _all_loads(factor: float) -> list[Point]:
    return Noise(3, 0.02).points((ONNX, TORCHSERVE, DIRECT), 5, {ONNX.name: factor})


def test_what_is_looked_at_is_settled_beforehand() -> None:
    (found,) = _decide(results(_all_loads(1)))
    # One client: p50, p99. 8 and 64: requests/s, p99. Three rates: p50, p99. Rows: rows/s.
    assert found.looked_at == 2 + 2 * 2 + 3 * 2 + 1
    assert found.speeds == []


def test_all_that_differs_is_found_and_capacity_once_more_aside() -> None:
    (found,) = _decide(results(_all_loads(3)))
    assert len(found.speeds) == found.looked_at + 1
    assert all(speed.favours for speed in found.speeds)
    (aside,) = [speed for speed in found.speeds if speed.aside]
    assert (aside.reference.subject, aside.contrast.measure, aside.contrast.connections) == (
        TORCHSERVE.name,
        "requests_per_s",
        64,
    )


def test_points_that_are_unfit_are_not_looked_at() -> None:
    points = _all_loads(3)
    unfit = [one for one in points if one.subject == DIRECT.name and one.shape == "open"]
    (found,) = _decide(results(points), unfit)
    assert found.looked_at == 7
    assert {speed.contrast.shape for speed in found.speeds} == {"closed", "batch"}


def _throughput(subject: Subject, speeds: Sequence[float]) -> Point:
    return point(subject, [one_round(speed, 1, 2) for speed in speeds], rows=8, shape="batch")


def _alone_and_among(others: int) -> tuple[Results, Results]:
    """One pair whose p is about 0.02, alone and among pairs of the lineage that do not differ."""
    candidate, reference = [200, 150, 165, 180], [100] * 4
    subjects = [ONNX, TORCHSERVE]
    points = [_throughput(ONNX, candidate), _throughput(TORCHSERVE, reference)]
    alone = results(points, subjects=subjects)
    parities: list[Parity] = [parity()]
    for number in range(others):
        other = msgspec.structs.replace(TORCHSERVE, name=f"other{number}", backend=f"b{number}")
        subjects.append(other)
        points.append(_throughput(other, [value * 0.98 for value in candidate]))
        parities.append(parity(ONNX, other))
    return alone, results(points, parities, subjects)


def test_the_more_is_looked_at_in_a_lineage_the_less_is_decided() -> None:
    alone, among = _alone_and_among(9)
    assert len(_decide(alone)[0].speeds) == 1
    decided = _decide(among)
    assert len(decided) == 10
    assert all(one.speeds == [] and one.looked_at == 1 for one in decided)


def test_what_the_load_generator_may_have_made_is_held_back() -> None:
    points = [
        msgspec.structs.replace(one, driver_limited=one.subject != ONNX.name)
        for one in _all_loads(3)
    ]
    (found,) = _decide(results(points))
    assert found.speeds == []
    assert found.held_back
