"""Servers to measure: real processes, none of them an opponent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.models.manifest import Manifest
from loadtests.bench.opponents.opponent import Place
from loadtests.bench.payload import Row, draw_rows
from loadtests.bench.report import Entry
from loadtests.bench.samples import Sample
from tests.conftest import REPOSITORY

MODEL = REPOSITORY / "weight-change"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The committed model, everything else in a folder of the test's own."""
    return Place(tmp_path / "run", tmp_path / "envs", REPOSITORY, MODEL / "1")


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """Rows of the committed model."""
    return draw_rows(Manifest.load(MODEL), 64)


def sample(requests: int, seconds: float = 1, errors: int = 0, rows: int = 1) -> Sample:
    """A sample whose latencies do not matter."""
    return Sample(
        seconds=seconds,
        requests=requests,
        errors=errors,
        p50_ms=1,
        p99_ms=2,
        max_ms=3,
        rows=rows,
    )


def entry(name: str, requests: Sequence[int], errors: int = 0) -> Entry:
    """A contestant that was measured once a round."""
    samples = [sample(number, errors=errors) for number in requests]
    return Entry(scenario="s", contestant=name, workload="64 connections", samples=samples)
