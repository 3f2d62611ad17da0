"""The report as Markdown and on the terminal: the same facts, and nothing read as markup."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from loadtests.compare.report import markdown, print_terminal
from loadtests.compare.results import Results
from tests.loadtests.compare.report.documents import full, nothing
from tests.loadtests.compare.report.odd import HOSTILE, odd


def _printed(results: Results, width: int = 120) -> str:
    file = io.StringIO()
    print_terminal(results, Console(file=file, width=width))
    return file.getvalue()


def test_markdown_has_every_subject_under_every_load() -> None:
    document = full()
    text = markdown(document)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for shape, column in (("closed", "64 clients"), ("open", "4,000 requests/s offered")):
        first = next(i for i, row in enumerate(rows) if row.startswith(f"| {column} |"))
        names = [subject.name for subject in document.subjects]
        below = [row.split(" | ")[1] for row in rows[first : first + len(names)]]
        assert [re.sub(r" \\\[.*", "", name) for name in below] == names, shape
    for sentence in document.advice[0].sentences:
        assert sentence.text in text


def test_markdown_tables_are_rectangular() -> None:
    for document in (full(), nothing(), odd()):
        blocks = re.findall(r"(?:^\| .*\n)+", markdown(document), flags=re.MULTILINE)
        for block in blocks:
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1, block


def test_markdown_escapes_what_it_is_given() -> None:
    assert re.findall(r"(?<!\\)<script>", markdown(odd())) == []
    assert "\\<script>" in markdown(odd())


def test_the_terminal_shows_names_numbers_and_advice() -> None:
    document = full()
    text = _printed(document)
    for subject in document.subjects:
        assert subject.name.removesuffix(" direct") in text
    assert "≥ 28,293" in text
    assert "26,595–29,991" in text
    assert "Move from torchserve/pytorch to onnx/pytorch" in text
    assert "not equivalent: 12 of 2,061 rows" in text
    assert "stand-in" in text


@pytest.mark.parametrize("width", [80, 100, 116, 160])
def test_the_terminal_s_table_fits(width: int) -> None:
    text = _printed(full(), width)
    assert max(map(len, text.splitlines())) <= width
    for number in ("28,293", "16,666", "0.160", "1,320", "9.40"):
        assert number in text, f"{number} is broken over lines"


def test_the_terminal_reads_nothing_as_markup() -> None:
    hostile = odd()
    assert "[bold]" not in _printed(hostile)
    assert HOSTILE in _printed(hostile, 400)
    assert "Nothing is recommended" not in _printed(nothing())
