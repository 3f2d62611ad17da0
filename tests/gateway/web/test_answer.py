"""Answers of all forms, as they are drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.gateway.web.conftest import Look

pytestmark = pytest.mark.chromium

_SHOW = """async ([outputs, predictions]) => {
  const { answerView } = await import("/web/js/answer.js");
  const target = { backend: "onnx", lineage: "pytorch", version: "1" };
  const content = { predictions, ...target, request_id: "r" };
  const answer = { content, headers: new Headers(), milliseconds: 1 };
  document.querySelector("main").replaceChildren(answerView({ outputs }, answer, []));
}"""


def show(look: Look, outputs: list[dict[str, Any]], *rows: dict[str, Any]) -> Locator:
    """The answer of a model with these outputs."""
    page = look("/#try/mixed").page
    expect(page.get_by_role("heading", level=1)).to_have_text("mixed")
    page.evaluate(_SHOW, [outputs, list(rows)])
    return page.locator(".answer")


def test_labels_of_several_with_the_largest_first(look: Look) -> None:
    output = {"name": "p", "shape": [3], "labels": ["cat", "dog", "owl"], "label_key": "label"}
    answer = show(look, [output], {"p": [0.2, 0.1, 0.7], "label": "owl"})
    expect(answer.locator(".figure")).to_have_text("owl")
    assert answer.locator(".share").all_inner_texts() == ["owl\n0.7", "cat\n0.2", "dog\n0.1"]


def test_bars_of_long_labels_line_up(look: Look) -> None:
    labels = [
        "Egyptian Mau, a short-haired cat from Cairo",
        "cat",
        "antidisestablishmentarianism" * 2,
    ]
    output = {"name": "p", "shape": [3], "labels": labels, "label_key": "label"}
    answer = show(look, [output], {"p": [0.5, 0.2, 0.3], "label": labels[0]})
    boxes = [track.bounding_box() for track in answer.locator(".track").all()]
    assert len({(box["x"], box["width"]) for box in boxes if box}) == 1
    assert boxes[0]
    assert boxes[0]["width"] >= 64
    expect(answer.locator(".figure")).to_have_class("figure long")


def test_many_warnings_are_folded(look: Look) -> None:
    page = look("/#try/mixed").page
    edit = page.get_by_label("JSON", exact=True)
    edit.check(force=True)
    editor = page.get_by_label("The request’s body")
    row = json.loads(editor.input_value()) | {"count": 20}
    editor.fill(json.dumps({"instances": [row] * 6}))
    editor.press("Control+Enter")
    expect(page.locator(".answer summary")).to_have_text("6 warnings")
    expect(page.locator(".answer .note li").first).to_be_hidden()
    page.locator(".answer summary").click()
    expect(page.locator(".answer .note li")).to_have_count(6)
    expect(page.locator(".answer .note li").first).to_be_visible()


def test_two_outputs_with_labels(look: Look) -> None:
    outputs: list[dict[str, Any]] = [
        {"name": name, "labels": ["no", "yes"], "threshold": 0.25, "label_key": f"{name}_label"}
        for name in ("a", "b")
    ]
    answer = show(look, outputs, {"a": 0.5, "b": 0.1, "a_label": "yes", "b_label": "no"})
    assert answer.locator(".figure").all_inner_texts() == ["yes", "no"]
    expect(answer.locator(".outcome").first).to_contain_text("“yes” from 0.25 on.")


def test_arrays_texts_and_what_is_not_finite(look: Look) -> None:
    grid = [[1.5, 2], [3, None]]
    outputs: list[dict[str, Any]] = [
        {"name": "grid", "shape": [2, 2]},
        {"name": "text"},
        {"name": "bad"},
        {"name": "ok"},
    ]
    answer = show(look, outputs, {"grid": grid, "text": "<b>hm", "bad": None, "ok": True})
    expect(answer.locator("summary")).to_have_text("2 × 2 values")
    assert json.loads(answer.locator("pre").inner_text()) == grid
    assert answer.locator(".figure").all_inner_texts() == ["<b>hm", "not finite", "true"]


def test_numbers_of_all_sizes(look: Look) -> None:
    values = [0.1 + 0.2, -1234567.891, 1e-9, 3e12, 123456789, 0.00012345678]
    outputs = [{"name": f"v{index}"} for index in range(len(values))]
    row = {f"v{index}": value for index, value in enumerate(values)}
    answer = show(look, outputs, row)
    assert answer.locator(".figure").all_inner_texts() == [
        "0.3", "−1,234,568", "1.00e−9", "3,000,000,000,000", "123,456,789", "0.000123457",
    ]  # fmt: skip
    assert answer.locator(".figure").first.get_attribute("title") == "0.30000000000000004"
