"""A picture: chosen, seen, sent, refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect

from tests.conftest import ROOT
from tests.gateway.web.conftest import Look
from tests.gateway.web.serving import Served, press

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """The example of pictures."""
    with Served(ROOT / "serving" / "examples", usual=True) as gateway:
        yield gateway


def picture(colour: str = "white") -> bytes:
    """A bar on black, as PNG."""
    image = Image.new("L", (28, 28), "black")
    ImageDraw.Draw(image).line([(14, 3), (14, 25)], fill=colour, width=4)
    content = BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def choose(page: Page, name: str, content: bytes) -> None:
    file = FilePayload(name=name, mimeType="image/png", buffer=content)
    page.get_by_label("image", exact=True).set_input_files(file)


def test_the_example_and_another(look: Look) -> None:
    viewer = look("/#try/digit-three")
    page = viewer.page
    expect(page.get_by_alt_text("The model’s example")).to_be_visible()
    press(page, "Predict")
    expect(page.locator(".figure")).to_have_text("3")
    choose(page, "one.png", picture())
    preview = page.get_by_alt_text(re.compile(r"one\.png, \d+ bytes"))
    expect(preview).to_be_visible()
    shown = f"data:image/png;base64,{b64encode(picture()).decode()}"
    expect(preview).to_have_attribute("src", shown)
    press(page, "Predict")
    expect(page.locator(".figure")).to_have_text("no 3")
    press(page, "Compare all")
    expect(page.locator(".targets > li").first).to_contain_text("no 3 (")
    assert Axe().run(page).violations_count == 0
    assert viewer.heard == []


def test_what_is_no_picture_is_refused(look: Look) -> None:
    viewer = look("/#try/digit-three")
    page = viewer.page
    expect(page.get_by_alt_text("The model’s example")).to_be_visible()
    choose(page, "notes.png", b"no picture")
    expect(page.locator(".drop [role=status]")).to_contain_text("notes.png")  # it has been read
    press(page, "Predict")
    expect(page.get_by_role("alert")).to_contain_text("1 value does not fit")
    expect(page.get_by_label("image", exact=True)).to_have_attribute("aria-invalid", "true")
    assert viewer.heard == ["422"]


def test_files_that_are_dropped_hurried_or_unreadable(look: Look) -> None:
    viewer = look("/#try/digit-three")
    page = viewer.page
    expect(page.get_by_alt_text("The model’s example")).to_have_class("preview small")
    assert page.evaluate("""() => {
      const drag = (kind, place) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([new Uint8Array(9)], "dropped.png", { type: "image/png" }));
        const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
        document.querySelector(place).dispatchEvent(event);
        return [event.defaultPrevented, document.querySelector(".drop").matches(".over")];
      };
      return [drag("dragover", ".drop"), drag("drop", ".drop"), drag("drop", "h1")];
    }""") == [[True, True], [True, False], [True, False]]
    told = page.locator(".drop [role=status]")
    expect(told).to_contain_text("dropped.png")
    page.evaluate("""() => {
      const read = FileReader.prototype.readAsDataURL;
      FileReader.prototype.readAsDataURL = function (file) {
        const known = document.body.classList;
        this.addEventListener("loadend", () => known.add(`read-${file.size}`));
        if (file.name === "gone.png") this.onerror();
        else setTimeout(() => read.call(this, file), file.name === "slow.png" ? 300 : 0);
      };
    }""")
    choose(page, "slow.png", picture())
    large = BytesIO()
    Image.new("L", (112, 112)).save(large, "PNG")
    choose(page, "large.png", large.getvalue())
    slow = re.compile(rf"read-{len(picture())}\b")
    expect(page.locator("body")).to_have_class(slow)
    expect(page.get_by_alt_text("large.png")).to_have_class("preview")
    choose(page, "gone.png", picture())
    expect(told).to_contain_text("gone.png cannot be read")
    expect(page.locator(".preview")).to_be_hidden()
    assert viewer.heard == []


@pytest.mark.parametrize(
    ("language", "command"), [("curl", ["bash", "-c"]), ("Python", [sys.executable, "-c"])]
)
def test_the_code_reads_the_file(
    look: Look, tmp_path: Path, language: str, command: list[str]
) -> None:
    (tmp_path / "my one.png").write_bytes(picture())
    page = look("/#try/digit-three").page
    expect(page.get_by_alt_text("The model’s example")).to_be_visible()
    choose(page, "my one.png", picture())
    page.get_by_label(language, exact=True).check(force=True)
    code = page.get_by_role("region", name="The request as code")
    expect(code).to_contain_text("my one.png")
    done = subprocess.run(
        [*command, code.inner_text()], capture_output=True, cwd=tmp_path, timeout=20, check=True
    )
    assert json.loads(done.stdout)["predictions"][0]["label"] == "no 3"
