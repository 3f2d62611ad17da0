from __future__ import annotations

import psutil
import pytest

from loadtests.compare.cost.meter import Meter, Spent, usage
from loadtests.compare.cost.processes import Family
from loadtests.compare.statistics import amounts_interval
from tests.loadtests.compare.cost.conftest import MakePuppet, Puppet


def _spent(seconds: float, predictions: int = 1000) -> Spent:
    return Spent(predictions, {"gateway": seconds / 4, "torchserve": seconds * 3 / 4})


def test_each_server_is_charged_with_what_it_used(make_puppet: MakePuppet) -> None:
    busy, idle = make_puppet("busy"), make_puppet("idle")
    busy.do("burn 0.01")
    idle.do("burn 0.01")
    meter = Meter({one.script.stem: Family(psutil.Process(one.pid)) for one in (busy, idle)})
    before = meter.read()
    busy.do("burn 0.4")
    spent = meter.spent(before, 200)
    assert spent.per_1000("busy") == pytest.approx(2, abs=0.3)
    assert spent.per_1000("idle") == pytest.approx(0, abs=0.3)
    assert spent.total == pytest.approx(2, abs=0.5)


def test_a_server_that_cannot_be_read_leaves_the_total_open(puppet: Puppet) -> None:
    meter = Meter({"gateway": Family(psutil.Process(puppet.pid)), "remote": None})
    before = meter.read()
    puppet.do("burn 0.1")
    spent = meter.spent(before, 100)
    assert spent.per_1000("gateway") is not None
    assert spent.total is None
    puppet.process.kill()
    puppet.process.wait()
    assert meter.spent(before, 100).cpu_s == {"gateway": None, "remote": None}


def test_usage_is_the_median_with_the_interval_of_the_mean() -> None:
    rounds = [_spent(4.0, 2000), _spent(2.2), _spent(1.05, 500)]
    result = usage("onnx/pytorch", rounds, price=0.04)
    assert result.cpu.id == "cost.onnx-pytorch.cpu_per_1000"
    assert result.cpu.value == pytest.approx(2.1)
    # Student's t for 2 degrees of freedom: 4.303 · 0.1 / √3
    assert result.cpu.low == pytest.approx(2.1 - 0.2484, abs=1e-4)
    assert result.cpu.high == pytest.approx(2.1 + 0.2484, abs=1e-4)
    assert result.by_server == pytest.approx({"gateway": 0.525, "torchserve": 1.575})
    assert result.price is not None
    assert result.price.value == pytest.approx(2100 / 3600 * 0.04)
    assert result.price.low == pytest.approx(1851.6 / 3600 * 0.04, rel=1e-4)
    assert result.price.remark == "busy cores only, at 0.04 for a core-hour"


def test_usage_says_what_is_missing() -> None:
    unread = Spent(1000, {"gateway": 1.0, "tfserving": None})
    result = usage("tfserving/tensorflow", [unread, unread], "tensorflow-serving", price=1)
    assert result.cpu.value is None
    assert result.cpu.stand_in == "tensorflow-serving"
    assert result.cpu.remark == "could not be read as a process of this machine: tfserving"
    assert result.by_server == {"gateway": 1.0}
    assert result.price is not None
    assert (result.price.value, result.price.remark) == (None, result.cpu.remark)
    assert result.price.stand_in == "tensorflow-serving"
    silent = usage("onnx/pytorch", [_spent(1, 0)])
    assert (silent.cpu.value, silent.cpu.remark) == (None, "nothing was answered")
    assert silent.price is None


def test_rounds_that_cannot_be_read_are_left_out() -> None:
    unread = Spent(1000, {"gateway": None, "torchserve": 1.0})
    result = usage("torchserve/pytorch", [_spent(2), unread, _spent(2)])
    assert (result.cpu.value, result.cpu.low, result.cpu.high) == (2, 2, 2)


def test_intervals() -> None:
    assert amounts_interval([]) == (None, None)
    assert amounts_interval([1.0]) == (None, None)
    assert amounts_interval([1.0, 1.0]) == (1.0, 1.0)
    low, high = amounts_interval([0.1, 1.0])
    assert low == 0  # no time is negative
    assert high is not None
    assert high > 1
