from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from loadtests.compare.contrasts import contrasts, measure_of
from loadtests.compare.results import Contrast, Round
from tests.loadtests.compare.factories import DIRECT, ONNX, TORCHSERVE, Load, one_round, point


def _rounds(speeds: Sequence[float]) -> list[Round]:
    return [one_round(speed, 64_000 / speed, 200_000 / speed) for speed in speeds]


def _by_measure(found: Sequence[Contrast]) -> dict[str, Contrast]:
    return {contrast.measure: contrast for contrast in found}


def test_a_closed_loop_is_compared_by_throughput_and_latencies() -> None:
    points = [point(ONNX, _rounds([200, 400, 300])), point(DIRECT, _rounds([100, 200, 150]))]
    found = _by_measure(contrasts(points, [(ONNX, DIRECT)]))
    assert list(found) == ["requests_per_s", "p50", "p99"]
    assert [contrast.better for contrast in found.values()] == ["higher", "lower", "lower"]
    throughput, p50 = found["requests_per_s"], found["p50"]
    assert throughput.ratio.value == pytest.approx(2)
    assert throughput.difference.value == pytest.approx(150)
    assert throughput.difference.unit == "requests/s"
    assert throughput.ratio.id == (
        "contrast.closed.c64.n1.onnx-pytorch.vs.torchserve-pytorch-direct.requests_per_s.ratio"
    )
    assert throughput.ratio.what == (
        "requests_per_s with 64 clients: onnx/pytorch ÷ torchserve/pytorch direct"
    )
    assert p50.ratio.value == pytest.approx(0.5)
    assert (p50.ratio.unit, p50.difference.unit) == ("×", "ms")
    assert measure_of(p50).figure(points[0]) is points[0].p50


def test_an_open_loop_by_latencies_and_bodies_of_rows_by_rows() -> None:
    loads: list[Load] = [
        {"shape": "open", "rate": 500.0, "connections": 256},
        {"shape": "batch", "connections": 1, "rows": 128},
    ]
    points = [
        point(subject, _rounds([speed] * 3), **load)
        for subject, speed in ((ONNX, 300), (TORCHSERVE, 100))
        for load in loads
    ]
    found = contrasts(points, [(ONNX, TORCHSERVE)])
    assert [one.measure for one in found] == ["p50", "p99", "rows_per_s", "p50", "p99"]
    assert found[0].ratio.id.startswith("contrast.open.r500.n1.")
    rows = found[2]
    assert rows.ratio.id.startswith("contrast.batch.c1.n128.")
    assert rows.difference.value == pytest.approx(200 * 128)
    assert rows.difference.unit == "rows/s"


def test_only_the_same_load_is_compared() -> None:
    one = point(ONNX, _rounds([100] * 3), connections=8)
    other = point(TORCHSERVE, _rounds([100] * 3), connections=64)
    assert contrasts([one, other], [(ONNX, TORCHSERVE)]) == []
    assert contrasts([one], [(ONNX, TORCHSERVE)]) == []


def test_a_round_without_an_answer_is_undecided() -> None:
    dead = [*_rounds([100, 100]), one_round(0, None, None, {"503": 9})]
    points = [point(ONNX, _rounds([100] * 3)), point(TORCHSERVE, dead)]
    for contrast in contrasts(points, [(ONNX, TORCHSERVE)]):
        assert contrast.ratio.value is None
        assert contrast.difference.value is None
        assert contrast.ratio.remark == "nothing was measured in round 3 of 3"


def test_a_subject_slowed_by_five_ms_differs_by_more_than_nothing() -> None:
    quick = [one_round(1000, 1.0 + 0.1 * n, 2 + 0.3 * n) for n in range(5)]
    slow = [msgspec.structs.replace(one, p50=(one.p50 or 0) + 5.1 - 0.05 * n)
            for n, one in enumerate(quick)]  # fmt: skip
    points = [point(ONNX, slow), point(TORCHSERVE, quick)]
    p50 = _by_measure(contrasts(points, [(ONNX, TORCHSERVE)]))["p50"].difference
    assert p50.low is not None
    assert 4.9 < p50.low < 5 < (p50.high or 0) < 5.2


def test_stand_ins_and_a_limited_load_generator_are_marked() -> None:
    stand_in = msgspec.structs.replace(TORCHSERVE, stand_in="a stand-in")
    points = [
        point(ONNX, _rounds([200] * 3), driver_limited=True),
        point(stand_in, _rounds([100] * 3)),
    ]
    for contrast in contrasts(points, [(ONNX, stand_in)]):
        assert contrast.ratio.stand_in == contrast.difference.stand_in == "a stand-in"
        assert contrast.ratio.remark == "the load generator was the limit of onnx/pytorch"
    # A mark on the figures suffices.
    (first, *_) = contrasts(points, [(ONNX, TORCHSERVE)])
    assert first.ratio.stand_in == "a stand-in"


def test_ids_are_unique() -> None:
    loads: list[Load] = [
        {"connections": 1},
        {"connections": 64},
        {"shape": "open", "rate": 100.0},
        {"shape": "open", "rate": 250.5},
        {"shape": "batch", "connections": 1, "rows": 2},
        {"shape": "batch", "connections": 1, "rows": 512},
    ]
    points = [
        point(subject, _rounds([100] * 3), **load)
        for subject in (ONNX, TORCHSERVE, DIRECT)
        for load in loads
    ]
    found = contrasts(points, [(ONNX, TORCHSERVE), (ONNX, DIRECT)])
    ids = [figure.id for one in found for figure in (one.ratio, one.difference)]
    assert len(ids) == len(set(ids)) == 2 * 2 * (2 * 3 + 2 * 2 + 2 * 3)
