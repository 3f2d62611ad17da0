"""The API's documentation, and trying it there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway.api.test_guard import USER, write_keys
from tests.gateway.web.conftest import Look
from tests.gateway.web.serving import Served, Viewer, write_repository

pytestmark = pytest.mark.chromium


def open_operation(page: Page, name: str) -> None:
    """Unfold an operation and begin to try it."""
    page.locator(f"#operations-{name} .opblock-summary-control").click()
    page.locator(f"#operations-{name}").get_by_role("button", name="Try it out").click()


def answer(page: Page) -> tuple[str, str]:
    """The status and the body of what was tried."""
    page.get_by_role("button", name="Execute").click()
    reply = page.locator(".live-responses-table .response").first
    expect(reply).to_be_visible()
    status = reply.locator(".response-col_status").inner_text()
    return status.strip(), reply.locator(".highlight-code pre").first.inner_text()


def test_a_prediction_is_tried(look: Look) -> None:
    viewer = look("/docs")
    page = viewer.page
    open_operation(page, "Predict-predict")
    page.get_by_label("model", exact=True).select_option("mixed")
    page.get_by_label("backend", exact=True).select_option("onnx")
    payload = {"count": 3, "size": 0.5, "big": False, "name": "b"}
    page.get_by_label("Request body", exact=True).fill(json.dumps(payload))
    status, body = answer(page)
    assert status == "200"
    assert json.loads(body)["predictions"] == [{"total": 3.5, "named": "b"}]
    assert viewer.heard == []


def test_a_model_is_read_and_an_error_shown(look: Look) -> None:
    viewer = look("/docs")
    page = viewer.page
    open_operation(page, "Models-model")
    page.get_by_label("name", exact=True).select_option("linear")
    status, body = answer(page)
    assert status == "200"
    assert json.loads(body)["features"][0]["shape"] == [3]
    assert viewer.heard == []


def test_every_door_stands_under_its_heading(look: Look) -> None:
    page = look("/docs").page
    expect(page.locator(".opblock")).to_have_count(13)
    found = page.locator(".opblock-tag").evaluate_all("tags => tags.map(t => t.dataset.tag)")
    assert found == ["Predict", "Models", "Watch", "Manage"]


def test_names_for_those_who_do_not_see_them(look: Look) -> None:
    page = look("/docs").page
    expect(page.get_by_role("button", name="Operations: Watch")).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("region", name="Operations")).to_have_count(1)
    page.locator("#operations-Predict-predict .opblock-summary-control").click()
    expect(page.locator("#operations-Predict-predict .parameters")).to_be_visible()
    expect(page.get_by_text("Predict one row, or many at once")).to_have_count(1)


def test_with_a_key(browser: Browser, tmp_path: Path) -> None:
    keys = write_keys(tmp_path / "keys.yaml")
    with Served(write_repository(tmp_path / "models"), api_keys_file=str(keys)) as served:
        viewer = Viewer(browser, served.url)
        page = viewer.page
        page.goto("/docs")
        page.get_by_role("button", name="Enter an API key").click()
        page.get_by_label("Key", exact=True).fill(USER)
        page.get_by_role("button", name="Use this key").click()
        open_operation(page, "Models-models")
        status, body = answer(page)
        assert status == "200"
        assert len(json.loads(body)["models"]) == 2
        assert set(viewer.heard) == {"401"}
        viewer.close()
