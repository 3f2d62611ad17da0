"""A picture: chosen, seen, sent, refused."""

from __future__ import annotations

import json
import subprocess
import sys
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
    preview = page.get_by_alt_text("one.png, 1 kB")
    expect(preview).to_be_visible()
    assert preview.evaluate("image => image.naturalWidth") == 28
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
    press(page, "Predict")
    expect(page.get_by_role("alert")).to_contain_text("1 value does not fit")
    expect(page.get_by_label("image", exact=True)).to_have_attribute("aria-invalid", "true")
    assert viewer.heard == ["422"]


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
