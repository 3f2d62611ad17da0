from __future__ import annotations

import msgspec
import numpy as np
import pytest

from gateway.routing.agreement import wilson
from loadtests.compare.load.plan import Outcome
from loadtests.compare.load.points import percentiles, point, to_round
from loadtests.compare.results import Round
from loadtests.compare.statistics import amounts_interval


def outcome(latencies: list[float], errors: dict[str, int] | None = None) -> Outcome:
    errors = errors or {}
    return Outcome(
        packed=np.array(latencies, dtype=np.float64).tobytes(),
        errors=errors,
        sent=len(latencies) + sum(errors.values()),
        in_window=len(latencies),
        seconds=2.0,
        driver_cpu_s=0.5,
    )


@pytest.mark.parametrize("count", [1, 2, 10, 300, 1000, 3000, 7000])
def test_percentiles_are_the_nearest_ranks(count: int) -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    for thousandths in (1, 500, 900, 990, 999, 1000):
        (found,) = percentiles(values, [thousandths / 1000])
        assert found == max(-(-thousandths * count // 1000), 1)


def test_round() -> None:
    one = to_round(outcome([float(ms) for ms in range(100, 0, -1)], {"500": 3}))
    assert (one.p50, one.p90, one.p99, one.p999, one.longest) == (50, 90, 99, 100, 100)
    assert (one.sent, one.answered, one.errors) == (103, 100, {"500": 3})
    assert (one.seconds, one.requests_per_s, one.driver_busy) == (2.0, 50.0, 0.25)


def test_round_without_an_answer() -> None:
    one = to_round(outcome([], {"500": 3}))
    assert (one.p50, one.p999, one.longest, one.requests_per_s) == (None, None, None, 0.0)


def test_interval() -> None:
    # Student's t of 2 degrees of freedom: 4.302653; the standard error of 1, 2, 3 is 1/√3.
    low, high = amounts_interval([1.0, 2.0, 3.0])
    assert low == 0.0  # below nothing there is nothing; the formula gives -0.48
    assert high == pytest.approx(2 + 4.302653 / 3**0.5)
    assert amounts_interval([10.0, 12.0]) == pytest.approx((0.0, 11 + 12.706205))
    assert amounts_interval([5.0, 5.0]) == (5.0, 5.0)
    assert amounts_interval([5.0]) == (None, None)


def rounds(*all_of_them: list[float], errors: dict[str, int] | None = None) -> list[Round]:
    return [to_round(outcome(latencies, errors)) for latencies in all_of_them]


def test_point() -> None:
    latencies = [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0], [9.0]]
    arrays = [np.array(each) for each in latencies]
    found = point(
        "onnx/pytorch",
        "a stand-in",
        "open",
        64,
        500.0,
        1,
        rounds(*latencies, errors={"500": 1}),
        arrays,
    )
    assert found.p50.id == "speed.open.r500.n1.onnx-pytorch.p50"
    assert found.p50.value == 3.0
    assert (found.p50.low, found.p50.high) == amounts_interval([2.0, 3.0, 9.0])
    assert found.p50.unit == "ms"
    assert found.p50.what == "p50 latency of onnx/pytorch, open loop, 500 requests/s"
    assert found.p999.value == 5.0
    assert found.requests_per_s.value == 1.5
    assert found.error_share.value == pytest.approx(3 / 11)
    assert (found.error_share.low, found.error_share.high) == wilson(3, 11)
    assert found.error_share.remark == "3 × 500"
    figures = [found.requests_per_s, found.p50, found.p90, found.p99, found.p999, found.error_share]
    assert {figure.stand_in for figure in figures} == {"a stand-in"}
    assert len({figure.id for figure in figures}) == 6
    assert not found.driver_limited


def test_ids_say_what_the_load_was() -> None:
    one = rounds([1.0])
    arrays = [np.ones(1)]
    closed = point("a/b direct", None, "closed", 64, None, 1, one, arrays)
    batch = point("a/b", None, "batch", 1, None, 128, one, arrays)
    assert closed.p99.id == "speed.closed.c64.n1.a-b-direct.p99"
    assert batch.p99.id == "speed.batch.c1.n128.a-b.p99"
    assert batch.p99.what == "p99 latency of a/b, batches, one client, 128 rows a request"
    assert (closed.p99.low, closed.p99.high) == (None, None)


def test_curve_is_made_of_every_latency() -> None:
    latencies = [np.arange(1.0, 5001), np.arange(5001.0, 10001)]
    found = point("a/b", None, "closed", 1, None, 1, rounds([1.0], [1.0]), latencies)
    shares = [share for share, _ in found.curve]
    assert len(found.curve) == 120
    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares[-2] == pytest.approx(0.9999)
    assert found.curve[-1] == (1.0, 10000.0)
    for share, ms in found.curve:
        assert ms == pytest.approx(max(share * 10000, 1), abs=1)


def test_point_where_some_or_all_rounds_failed() -> None:
    some = point("a/b", None, "closed", 1, None, 1, rounds([1.0], []), [np.ones(1), np.empty(0)])
    assert (some.p50.value, some.p50.low, some.p50.remark) == (1.0, None, "1 of 2 rounds failed")
    none = point("a/b", None, "closed", 1, None, 1, rounds([], []), [np.empty(0), np.empty(0)])
    assert (none.p50.value, none.p50.remark, none.curve) == (None, "nothing was answered", [])
    assert none.requests_per_s.value == 0.0
    assert (none.error_share.value, none.error_share.remark) == (None, "nothing was sent")


def test_point_where_the_driver_was_the_limit() -> None:
    (one,) = rounds([1.0])
    busy = msgspec.structs.replace(one, driver_busy=0.95)
    found = point("a/b", None, "closed", 1, None, 1, [busy, busy, one], [np.ones(1)])
    assert found.driver_limited


def test_nothing_was_measured() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        point("a/b", None, "closed", 1, None, 1, [], [])
