from __future__ import annotations

import io
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from gateway.models.manifest import Manifest
from loadtests.bench.bench import Bench, Options
from loadtests.bench.expected import Oracle
from loadtests.bench.fleet import members
from loadtests.bench.opponents import floor, gateway
from loadtests.bench.opponents.opponent import Place
from loadtests.bench.report import Report
from serving.layout import PYTORCH
from tests.loadtests.bench.conftest import MODEL

pytestmark = pytest.mark.skipif(
    shutil.which("wrk") is None or not hasattr(os, "sched_setaffinity"),
    reason="needs wrk and Linux",
)


@pytest.fixture
def bench(place: Place) -> Bench:
    place.run_dir.mkdir()
    manifest = Manifest.load(MODEL)
    return Bench(
        Options(rounds=2, seconds=1, warm_s=1, server_core=min(os.sched_getaffinity(0))),
        place,
        Oracle(place, manifest.parity.absolute),
        Report(machine={}, settings={}),
        manifest,
        Console(file=io.StringIO()),
    )


async def test_contestants_are_measured_round_by_round(bench: Bench) -> None:
    ours, bare = gateway.endpoint(bench.place), floor.endpoint(bench.place)
    async with bench.fleet() as fleet:
        entries = await bench.compete("s", fleet, [ours, bare], bench.workload(4))
    assert [len(entry.samples) for entry in entries.values()] == [2, 2]
    assert all(sample.requests > 100 for entry in entries.values() for sample in entry.samples)
    assert sum(entry.errors for entry in entries.values()) == 0
    assert bench.report.entries == list(entries.values())
    assert bench.report.absences == []


async def test_who_answers_wrongly_is_not_measured(bench: Bench) -> None:
    wrong = replace(floor.endpoint(bench.place), graph=PYTORCH)  # it answers 0 to everything
    async with bench.fleet() as fleet:
        assert await bench.compete("s", fleet, [wrong], bench.workload(1)) == {}
    (absence,) = bench.report.absences
    assert "wrong answer" in absence.reason


async def test_who_dies_meanwhile_is_left_out_and_the_others_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = [replace(bench.place, run_dir=tmp_path / name) for name in ("stays", "dies")]
    stays, dies = (floor.endpoint(place) for place in places)
    dies = replace(dies, title="dying")
    progress = Bench.progress

    def kill(self: Bench, number: int, entry: object) -> None:
        for process in members(dies.server):
            os.kill(process.pid, signal.SIGKILL)
        progress(self, number, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(Bench, "progress", kill)
    async with bench.fleet() as fleet:
        entries = await bench.compete("s", fleet, [stays, dies], bench.workload(1))
    assert list(entries) == [stays]
    assert len(entries[stays].samples) == 2
    (absence,) = bench.report.absences
    assert absence.contestant == "dying"
