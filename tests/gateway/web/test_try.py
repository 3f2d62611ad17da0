"""Trying a model: predictions, comparisons, what does not fit, and the code to take along."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from gateway.errors import BackendUnavailable
from tests.gateway.web.conftest import Look
from tests.gateway.web.serving import Served, press

pytestmark = pytest.mark.chromium
LATENCY = re.compile(r"\d m?s$")


def field(page: Page, name: str) -> Locator:
    """The field of a feature."""
    return page.locator(".field").filter(has_text=re.compile(f"^{name}"))


def test_a_prediction_of_the_example(look: Look) -> None:
    viewer = look("/#try/mixed")
    page = viewer.page
    expect(page.get_by_role("heading", level=1)).to_have_text("mixed")
    expect(page.locator(".lead").first).to_have_text('Adds <img src="x"> up.')
    expect(page.get_by_label("count pieces", exact=True)).to_have_value("2")
    expect(page.get_by_label("size", exact=True)).to_have_value("0.5")
    expect(field(page, "count")).to_contain_text("Trained on 0–10")
    press(page, "Predict")
    expect(page.locator(".figure").first).to_have_text("2.5 pieces")
    expect(page.locator(".figure").nth(1)).to_have_text("a")
    facts = page.locator(".facts")
    expect(facts).to_contain_text("ONNX Runtime, PyTorch")
    expect(facts).to_contain_text("In a call of1 row")
    assert viewer.heard == []


def test_every_field_counts(look: Look) -> None:
    page = look("/#try/mixed").page
    page.get_by_label("count pieces", exact=True).fill(
        "9007199254740993"
    )  # a double would lose the last 1
    page.get_by_label("size", exact=True).fill("-0.25")
    page.get_by_label("true", exact=True).check(force=True)
    page.get_by_label("b", exact=True).check(force=True)
    page.get_by_label("Ask", exact=True).select_option(label="memory, PyTorch")
    with page.expect_request("**/v1/predict*") as asked:
        press(page, "Predict")
    expect(page.locator(".facts")).to_contain_text("memory, PyTorch")
    sent = asked.value.post_data or ""
    assert json.loads(sent) == {
        "count": 9007199254740993, "size": -0.25, "big": True, "name": "b",
    }  # fmt: skip
    assert "9007199254740993" in sent


def test_a_comparison_side_by_side(look: Look, served: Served) -> None:
    viewer = look("/#try/mixed")
    page = viewer.page
    press(page, "Compare all")
    targets = page.locator(".targets > li")
    expect(targets).to_have_count(3)
    expect(targets.nth(0)).to_contain_text("ONNX RuntimePyTorch")
    expect(targets.nth(2)).to_contain_text("2.51 pieces")
    for index in range(3):
        expect(targets.nth(index).locator(".amount")).to_have_text(LATENCY)
    verdicts = page.locator(".verdicts")
    expect(verdicts).to_contain_text("ONNX Runtime and memory do not agree: 0.01")
    expect(verdicts).to_contain_text("PyTorch and TensorFlow: 0 apart")
    served.memory.fail = BackendUnavailable("memory", "it is down")
    try:
        press(page, "Compare all")
        expect(targets.nth(2)).to_contain_text("it is down")
        expect(page.locator(".verdicts")).not_to_contain_text("do not agree")
    finally:
        served.memory.fail = None
    assert viewer.heard == []


def test_what_does_not_fit_is_said_at_its_field(look: Look) -> None:
    viewer = look("/#try/mixed")
    page = viewer.page
    count, size = (
        page.get_by_label("count pieces", exact=True),
        page.get_by_label("size", exact=True),
    )
    count.fill("a few")
    size.fill("")
    press(page, "Predict")
    expect(field(page, "count")).to_contain_text(
        "Is a string, not a number. Allowed: a whole number"
    )
    expect(field(page, "size")).to_contain_text("Is missing.")
    expect(count).to_have_attribute("aria-invalid", "true")
    expect(count).to_be_focused()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("2 values do not fit")
    summary.get_by_role("link", name="size is missing").click()
    expect(size).to_be_focused()
    count.fill("11")
    size.fill("1")
    press(page, "Predict")
    expect(page.locator(".figure").first).to_have_text("12 pieces")
    expect(field(page, "count")).to_contain_text("11 is outside the training range 0–10.")
    expect(count).to_have_attribute("aria-invalid", "false")
    expect(summary).to_have_text("")
    assert viewer.heard == ["422"]


def test_many_rows_as_json(look: Look) -> None:
    viewer = look("/#try/mixed")
    page = viewer.page
    page.get_by_label("JSON", exact=True).check(force=True)
    editor = page.get_by_label("The request’s body")
    row = json.loads(editor.input_value())
    editor.fill(json.dumps({"instances": [row, row | {"count": 20}, row | {"name": "b"}]}))
    editor.press("Control+Enter")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("20.5")
    expect(page.locator(".answer .note")).to_contain_text("instances/1/count: 20 is outside")
    editor.fill(json.dumps({"instances": [row, row | {"name": "z"}]}))
    press(page, "Predict")
    expect(page.get_by_role("alert")).to_contain_text("/instances/1/name: is not a known category")
    editor.fill("{")
    press(page, "Predict")
    expect(page.get_by_role("alert")).to_contain_text("not JSON")
    assert viewer.heard == ["422", "400"]


def test_a_tensor_as_json_and_another_model(look: Look) -> None:
    viewer = look("/#try/mixed")
    page = viewer.page
    page.get_by_label("Model", exact=True).select_option("linear")
    expect(page.get_by_role("heading", level=1)).to_have_text("linear")
    tensor = page.get_by_label("x", exact=True)
    expect(tensor).to_have_value("[1,2,3]")
    tensor.fill("[3, 2, 1]")
    press(page, "Predict")
    expect(page.locator(".answer pre")).to_have_text("[123]")
    tensor.fill("[3, 2]")
    press(page, "Predict")
    expect(field(page, "x")).to_contain_text("Allowed: nested lists of float32 of shape 3.")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("linear")
    page.get_by_role("link", name="Live").click()
    page.get_by_role("link", name="Try", exact=True).click()
    expect(page).to_have_url(re.compile("#try/linear$"))
    page.goto("/#try/mixed")
    expect(page.get_by_role("heading", level=1)).to_have_text("mixed")
    assert viewer.heard == ["422"]


@pytest.mark.parametrize(
    ("language", "command"), [("curl", ["bash", "-c"]), ("Python", [sys.executable, "-c"])]
)
def test_the_code_does_what_the_page_did(look: Look, language: str, command: list[str]) -> None:
    page = look("/#try/mixed").page
    page.get_by_label("size", exact=True).fill("0.25")
    page.get_by_label("true", exact=True).check(force=True)
    page.get_by_label("Ask", exact=True).select_option(label="ONNX Runtime, TensorFlow")
    page.get_by_label(language, exact=True).check(force=True)
    code = page.get_by_role("region", name="The request as code").inner_text()
    answer = run(command, code)
    assert (answer["backend"], answer["lineage"]) == ("onnx", "tensorflow")
    assert answer["predictions"] == [{"total": 102.25, "named": "a"}]
    press(page, "Compare all")
    code = page.get_by_role("region", name="The request as code").inner_text()
    assert len(run(command, code)["results"]) == 3


def run(command: list[str], code: str) -> Any:
    done = subprocess.run([*command, code], capture_output=True, timeout=20, check=True)
    return json.loads(done.stdout)


def test_odd_texts_survive_shell_and_python(look: Look, tmp_path: Any) -> None:
    """Quotes, dollars, line breaks and characters beyond the first plane, with a file beside."""
    page = look("/").page
    odd = "it's \"5 $HOME `ls` \\n 😀\t\u2028"
    picture = tmp_path / "it's.png"
    picture.write_bytes(bytes(range(256)))
    for made, command in (("curl", ["bash", "-c"]), ("python", [sys.executable, "-c"])):
        for file in ("", str(picture)):
            code: str = page.evaluate(
                """async ([made, odd, file]) => {
                  const make = (await import("/web/js/code.js"))[made];
                  const entries = [["a", JSON.stringify(odd), ""], ["b", "null", ""]];
                  if (file) entries.push(["c", JSON.stringify("longer than it is"), file]);
                  const body = `{${entries.map(([n, j]) => `"${n}": ${j}`).join(", ")}}`;
                  return make({ url: "http://127.0.0.1:9/x?a=1&b=2", body, entries, keyed: false });
                }""",
                [made, odd, file],
            )
            sent = caught(command, code)
            assert sent["a"] == odd
            assert sent["b"] is None
            if file:
                assert len(sent["c"]) == 344


def caught(command: list[str], code: str) -> Any:
    """What the code would have sent: its shell's curl prints it, and so does its Python."""
    if command[0] == "bash":
        code = (
            'curl() { while [ $# -gt 0 ]; do case "$1" in -d) printf %s "$2";; '
            f"--data-binary) cat;; esac; shift; done; }}\n{code}"
        )
    else:
        code = code.partition("headers = {")[0] + "print(json.dumps(payload))"
    return run(command, code)


def test_an_address_that_names_nothing_shows_a_model(look: Look) -> None:
    viewer = look("/#try/%")
    expect(viewer.page.get_by_role("heading", level=1)).to_have_text("linear")
    expect(viewer.page.locator("#ready")).to_have_text("ready")
    assert viewer.heard == []


def test_a_choice_that_fails_late_does_not_hide_the_newer_one(look: Look) -> None:
    page = look("/#try/linear").page
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("linear")
    held: list[Route] = []
    page.route("**/v1/models/mixed", lambda route: held.append(route))
    page.goto("/#try/mixed")
    while not held:
        page.wait_for_timeout(10)
    page.goto("/#try/other")  # there is none: the first model is shown
    expect(page).to_have_url(re.compile("#try/linear$"))
    with page.expect_response("**/v1/models/mixed"):
        held[0].fulfill(status=500, content_type="application/json", body='{"title": "Broken"}')
    page.evaluate("fetch('healthz').then((answer) => answer.text())")  # by then it has been read
    expect(heading).to_have_text("linear")
    expect(page.get_by_text("Broken")).to_have_count(0)
