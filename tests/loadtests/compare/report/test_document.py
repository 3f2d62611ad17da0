"""The JSON report is the whole document, and only such a document is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.compare.errors import CompareError
from loadtests.compare.report import read_json, write_json
from tests.loadtests.compare.report.documents import full, nothing


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    for document in (full(), nothing()):
        write_json(document, tmp_path / "results.json")
        assert read_json(tmp_path / "results.json") == document


def test_another_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(nothing(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2, "model": 7}))
    with pytest.raises(CompareError, match="is a comparison of form 2; only 1 is known"):
        read_json(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"model": "x"}', "\xff"])
def test_what_is_no_comparison_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CompareError, match="is not the JSON of a comparison"):
        read_json(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CompareError, match="cannot be read: No such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(CompareError, match="cannot be written: No such file"):
        write_json(nothing(), tmp_path / "none" / "results.json")
