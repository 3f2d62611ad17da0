"""Chromium, a gateway, and pages of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.chromium import chromium
from tests.gateway.web.serving import PATIENCE_MS, Served, Viewer, write_repository

expect.set_options(timeout=PATIENCE_MS)
Look = Callable[..., Viewer]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway of two models, without keys."""
    with Served(write_repository(tmp_path_factory.mktemp("repository"))) as gateway:
        yield gateway


@pytest.fixture
def look(browser: Browser, served: Served) -> Iterator[Look]:
    """Opens pages of a gateway, of ``served`` if none is named; they are closed at the end."""
    viewers: list[Viewer] = []

    def open_page(
        path: str, url: str = served.url, size: str = "desktop", scheme: str = "light"
    ) -> Viewer:
        viewer = Viewer(browser, url, size, "dark" if scheme == "dark" else "light")
        viewers.append(viewer)
        viewer.page.goto(path)
        return viewer

    yield open_page
    for viewer in viewers:
        viewer.close()
