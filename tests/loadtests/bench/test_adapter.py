"""Calls of an adapter in this process: right answers only, each timed."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from gateway.backends.base import Backend, Call, Health, Target
from gateway.config import Settings
from gateway.models.manifest import Manifest
from gateway.models.repository import Repository
from gateway.models.rows import Outputs, Rows
from loadtests.bench.adapter import Asked, call_for, require_answer
from loadtests.bench.compare import CPU, compare
from loadtests.bench.errors import BenchError
from loadtests.bench.report import Entry, Report
from loadtests.bench.show import markdown
from tests.loadtests.bench.conftest import MODEL

PAUSE_S = 0.02


class Doubling(Backend):
    """Waits, computes, and answers twice what it was sent."""

    name = "doubling"

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls()

    async def load(self, target: Target) -> None: ...

    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        await asyncio.sleep(PAUSE_S)
        return {"y": rows.columns["x"] * 2}

    async def check(self, target: Target, call: Call) -> Health:
        return Health(True, "")


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    model = Repository().add(Manifest.load(MODEL), "1", tmp_path)
    rows = Rows({"x": np.array([1.0, 2.0])}, 2)
    target = Target("doubling", model, "tensorflow", {})
    return Asked("2 rows", target, rows, "y", np.array([2.0, 4.0]), 1e-6)


async def test_calls_are_timed_one_by_one(asked: Asked) -> None:
    sample = await call_for(Doubling(), asked, 0)
    assert (sample.requests, sample.errors, sample.rows) == (3, 0, 2)
    assert 1000 * PAUSE_S * 0.9 < sample.p50_ms <= sample.p99_ms <= sample.max_ms
    assert sample.cpu_ms is not None
    assert 0 < sample.cpu_ms < sample.max_ms


async def test_a_wrong_answer_is_not_measured(asked: Asked) -> None:
    await require_answer(Doubling(), asked)
    wrong = dataclasses.replace(asked, expected=np.array([2.0, 4.1]))
    with pytest.raises(BenchError, match="wrong answer to 2 rows"):
        await require_answer(Doubling(), wrong)


async def test_processor_time_is_told_without_a_target(asked: Asked) -> None:
    samples = [await call_for(Doubling(), asked, 0)]
    ours, theirs = (
        Entry(scenario="s", contestant=name, workload=asked.title, samples=samples)
        for name in ("gRPC", "REST")
    )
    finding = compare("CPU", "s", ours, theirs, None, CPU)
    assert finding.met is None
    assert finding.figure is not None
    assert finding.figure.median == 1
    line = markdown(Report(machine={}, settings={}, findings=[finding])).splitlines()[2]
    assert line.startswith("| CPU | ")
    assert " ms CPU | " in line
    assert line.endswith(" × | — | — |")
