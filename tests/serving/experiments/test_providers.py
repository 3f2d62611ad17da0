"""Execution providers: those that compute, those that leave it to others, those that fail."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
import pytest

from serving.experiments import providers
from serving.experiments.plan import Plan
from serving.experiments.sessions import CPU
from serving.experiments.subject import find_subjects
from serving.experiments.tables import provider_remarks
from tests.conftest import REPOSITORY, linear_graph

PLAN = Plan(batches=[1, 8], rounds=2, slice_s=0.002)


def _silent(words: str) -> None:
    assert words


def test_each_available_provider_is_asked_and_says_who_computed() -> None:
    subject = find_subjects(REPOSITORY, None, None)[0]
    found = providers.run(PLAN, subject, _silent)
    by_name = {provider.name: provider for provider in found.providers}
    assert list(by_name) == ort.get_available_providers()
    assert not set(found.absent) & set(by_name)
    own = by_name[CPU]
    assert own.active
    assert own.own == sum(own.nodes.values()) > 0
    assert [timing.batch for timing in own.calls] == [1, 8]
    for provider in found.providers:
        # What a provider did not compute itself is told.
        told = any(line.startswith(f"{provider.name}: ") for line in provider_remarks(found))
        assert told == (provider.own < sum(provider.nodes.values()))


def test_a_provider_that_fails_is_not_replaced_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "CUDAExecutionProvider"
    if missing in ort.get_available_providers():
        pytest.skip("this build has it")
    monkeypatch.setattr(ort, "get_available_providers", lambda: [missing, CPU])
    subject = find_subjects(REPOSITORY, None, linear_graph(tmp_path / "g.onnx", [1.0]))[0]
    planted, cpu = providers.run(PLAN, subject, _silent).providers
    assert (planted.name, planted.active, planted.calls, planted.nodes) == (missing, False, [], {})
    assert planted.reason
    assert cpu.active
    assert len(cpu.calls) == 2
