"""The form and its JSON say the same, and neither loses what was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper
from playwright.sync_api import Page, Route, expect

from tests.conftest import save, write_model
from tests.gateway.web.conftest import Look
from tests.gateway.web.serving import Served, press, write_repository

pytestmark = pytest.mark.chromium

#: One more than a double can hold.
LONG = 9007199254740993
IDS: dict[str, Any] = {
    "name": "ids",
    "features": [{"name": "id", "type": "integer", "example": LONG}],
    "outputs": [{"name": "same"}],
    "backends": {"onnx": {"lineages": {"pytorch": {"artifact": "same.onnx"}}}},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The usual models, one of them in two versions, and one of long whole numbers."""
    folder = write_repository(tmp_path_factory.mktemp("repository"))
    (folder / "linear" / "2").mkdir()
    graph = (folder / "linear" / "1" / "linear.onnx").read_bytes()
    (folder / "linear" / "2" / "linear.onnx").write_bytes(graph)
    write_ids(write_model(folder / "ids", IDS))
    with Served(folder) as gateway:
        yield gateway


def write_ids(version: Path) -> None:
    """A graph that gives back what it gets."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", 1]) for name in ("id", "same")
    ]
    node = helper.make_node("Identity", ["id"], ["same"])
    save(helper.make_graph([node], "ids", ends[:1], ends[1:]), version / "same.onnx")


def edit(page: Page, mode: str) -> None:
    page.get_by_label(mode, exact=True).check(force=True)


def test_no_digit_of_a_whole_number_is_lost(look: Look) -> None:
    page = look("/#try/ids").page
    field = page.get_by_label("id", exact=True)
    expect(field).to_have_value(str(LONG))
    press(page, "Predict")
    expect(page.locator(".figure")).to_have_text("9,007,199,254,740,993")
    edit(page, "JSON")
    editor = page.get_by_label("The request’s body")
    expect(editor).to_have_value(f'{{\n  "id": {LONG}\n}}')
    rows = [{"id": LONG + 2}, {"id": -LONG}]
    editor.fill(json.dumps({"instances": rows}))
    with page.expect_request("**/v1/predict*") as sent:
        press(page, "Predict")
    assert json.loads(sent.value.post_data or "") == {"instances": rows}
    cells = page.locator("tbody td")
    expect(cells).to_have_text(["9,007,199,254,740,995", "−9,007,199,254,740,993"])
    press(page, "Compare all")
    expect(page.locator(".values dd")).to_have_text("9,007,199,254,740,995")


def test_json_is_read_written_and_laid_out_as_it_is(look: Look) -> None:
    text = '{"a": [1.0, 1e3, {}], "b": "12345678901234567890, {", "c": [-12345678901234567890]}'
    page = look("/").page
    written, kinds, spread = page.evaluate(
        """async (text) => {
          const { parse, write, indent } = await import("/web/js/json.js");
          const found = parse(text);
          const kinds = [found.a[1], found.b, found.c[0]].map((one) => typeof one);
          return [write(found), kinds, indent(text)];
        }""",
        text,
    )
    assert json.loads(written) == json.loads(text)
    assert kinds == ["number", "string", "bigint"]
    assert json.loads(spread) == json.loads(text)
    assert '\n    1.0,\n    1e3,\n    {}\n  ],\n  "b"' in spread


def test_what_is_edited_as_json_is_kept(look: Look) -> None:
    page = look("/#try/mixed").page
    size = page.get_by_label("size", exact=True)
    editor = page.get_by_label("The request’s body")
    edit(page, "JSON")
    row = {"count": 7, "size": 0.25, "big": True, "name": "b"}
    text = f"\n{json.dumps(row)}"
    editor.fill(text)
    edit(page, "Form")
    expect(page.get_by_label("count pieces", exact=True)).to_have_value("7")
    expect(page.get_by_label("true", exact=True)).to_be_checked()
    expect(page.get_by_label("b", exact=True)).to_be_checked()
    edit(page, "JSON")
    expect(editor).to_have_value(text)
    edit(page, "Form")
    size.fill("0.75")
    edit(page, "JSON")
    expect(editor).to_have_value(re.compile('"size": 0.75'))

    many = json.dumps({"instances": [row, row]})
    for text, words in (
        (many, "The form shows one row"),
        ("{", "The form shows one row"),
        (json.dumps(row | {"height": 1}), "The model has no feature “height”"),
        (json.dumps(row | {"big": 10**19}), "The form cannot say the same of “big”."),
    ):
        editor.fill(text)
        page.get_by_label("Form", exact=True).click(force=True)
        expect(page.get_by_role("alert")).to_contain_text(words)
        expect(page.get_by_label("JSON", exact=True)).to_be_checked()
        expect(editor).to_have_value(text)
    press(page, "Example")
    expect(editor).to_have_value(re.compile('"size": 0.5'))


def test_the_keyboard_goes_from_model_to_model(look: Look) -> None:
    page = look("/#try/ids").page
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("ids")
    page.get_by_label("Model", exact=True).focus()
    for name in ("linear", "mixed"):
        page.keyboard.press("ArrowDown")
        expect(heading).to_have_text(name)
        expect(page.get_by_label("Model", exact=True)).to_be_focused()
    page.go_back()
    expect(heading).to_have_text("linear")
    expect(page).to_have_title("linear – Serving gateway")
    page.get_by_label("Version", exact=True).focus()
    page.keyboard.press("ArrowUp")
    expect(page).to_have_url(re.compile("#try/linear/1$"))
    expect(page.get_by_label("Version", exact=True)).to_be_focused()
    page.reload()
    expect(page.get_by_label("Version", exact=True)).to_have_value("1")
    page.go_back()
    expect(page.get_by_label("Version", exact=True)).to_have_value("2")
    expect(page).to_have_url(re.compile("#try/linear$"))


def test_a_number_that_may_be_missing(look: Look) -> None:
    page = look("/").page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.evaluate("""async () => {
      const { field } = await import("/web/js/fields.js");
      const feature = { type: "number", range: [0, 10] };
      globalThis.made = [{ ...feature, name: "known" }, { ...feature, name: "gap", finite: false }]
        .map((one) => field(one, () => {}));
      made.forEach((one) => one.set(null));
      document.querySelector("main").replaceChildren(...made.map((one) => one.element));
    }""")
    known, gap = page.locator(".field").all()
    assert page.evaluate("made.map((one) => one.json())") == [None, "null"]
    expect(gap).to_contain_text("May be empty.")
    expect(known).not_to_contain_text("May be empty.")
    expect(gap.locator(".dot")).to_be_hidden()
    for text, shown in (("5", True), ("five", False), ("11", True)):
        gap.get_by_role("textbox").fill(text)
        expect(gap.locator(".dot")).to_be_visible(visible=shown)
    assert page.evaluate("made[1].json()") == "11"


def test_a_text_is_not_left_out_by_the_form(look: Look) -> None:
    page = look("/").page
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.evaluate("""async () => {
      const { payloadForm } = await import("/web/js/form.js");
      const gap = { name: "gap", type: "number", finite: false };
      const features = [{ name: "city", type: "string" }, gap];
      const model = { features, example: { city: "Oslo", gap: 1 } };
      const form = payloadForm(model, () => {}, () => {});
      document.querySelector("main").replaceChildren(form.element);
    }""")
    editor = page.get_by_label("The request’s body")
    for text in ('{"gap": 1}', '{"city": null, "gap": 1}', '{"city": "Oslo"}'):
        edit(page, "JSON")
        editor.fill(text)
        page.get_by_label("Form", exact=True).click(force=True)
        expect(page.get_by_role("alert")).to_contain_text("The form cannot say the same of")
    editor.fill('{"city": "Rome", "gap": null}')
    edit(page, "Form")
    expect(page.get_by_label("city", exact=True)).to_have_value("Rome")


@pytest.mark.parametrize("name", ["Predict", "Enter"])
def test_a_phone_shows_the_answer(look: Look, name: str) -> None:
    viewer = look("/#try/mixed", size="phone")
    page = viewer.page
    expect(page.get_by_role("button", name="Predict", exact=True)).to_be_in_viewport(ratio=1)
    if name == "Enter":
        page.get_by_label("count pieces", exact=True).press("Enter")
    else:
        press(page, name)
    expect(page.locator(".figure").first).to_be_in_viewport(ratio=1)
    assert viewer.fits()


def test_refusals_that_are_not_of_the_payload(look: Look) -> None:
    page = look("/#try/mixed").page
    expect(page.get_by_label("size", exact=True)).to_have_value("0.5")
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"title": "Not found", "status": 404, "detail": "there is no model x"}, "no model x"),
        (
            {"title": "The body is too large", "status": 413, "limit_bytes": 8 * 2**20},
            "It may be 8 MB at most.",
        ),
    ]
    for problem, words in refusals:
        page.route("**/v1/predict*", partial(Route.fulfill, status=problem["status"], json=problem))
        press(page, "Predict")
        expect(page.locator(".result")).to_contain_text(problem["title"])
        expect(page.locator(".result")).to_contain_text(words)
        expect(page.locator(".summary")).to_be_empty()
