"""Plain ONNX files: ONNX's own test models, all of them, served and asked over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.gateway.onnx_models import check

PAGE = ROOT / "docs" / "onnx-models.md"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # ONNX's own, where it expects NaN
def test_nearly_all_of_onnxs_test_models_are_served_as_expected(tmp_path: Path) -> None:
    counting = [case for case in check(tmp_path) if case.counts]
    failed = [case for case in counting if case.errors]
    assert len(counting) > 1_400
    assert len(failed) / len(counting) <= 0.05, [(case.name, case.errors) for case in failed]
    page = PAGE.read_text(encoding="utf-8")
    for case in failed:
        assert case.reason or f"`{case.name.removeprefix('test_')}`" in page, case.errors
