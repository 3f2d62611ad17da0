"""Plain ONNX files: ONNX's own test models, all of them, served and asked over HTTP."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gateway.onnx_models import check
from tests.gateway.onnx_models_page import PAGE, by_hand

#: ONNX Runtime chooses its kernels by the processor, and some round more than a test allows.
_MORE_OR_LESS = 8


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # ONNX's own, where it expects NaN
def test_nearly_all_of_onnxs_test_models_are_served_as_expected(tmp_path: Path) -> None:
    everything = check(tmp_path)
    counting = [case for case in everything if case.counts]
    failed = [case for case in counting if case.errors]
    assert len(counting) > 1_400
    assert len(failed) / len(counting) <= 0.05, [(case.name, case.errors) for case in failed]
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    told = re.search(r"\*\*([\d,]+) of ([\d,]+) that count are served", page)
    assert told is not None
    good, all_told = (int(number.replace(",", "")) for number in told.groups())
    assert all_told == len(counting)
    assert abs(good - (all_told - len(failed))) <= _MORE_OR_LESS
    typed = [case for case in everything if case.typed]
    assert {case.name for case in counting} <= {case.name for case in typed}
    assert f"{good:,} of {len(typed):,}, **{100 * good / len(typed):.1f} %**" in page
    assert not any(case.loads_older for case in typed), "as the page says"
    assert "python -m tests.gateway.large_model" in by_hand(PAGE.read_text(encoding="utf-8"))
    for case in failed:
        assert case.reason or f"`{case.name.removeprefix('test_')}`" in page, case.errors
