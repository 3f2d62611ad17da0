"""A gateway beside a browser, and what the browser complains of."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Literal, Self

from playwright.sync_api import Browser, ConsoleMessage, Page, Route

from gateway.app import create_app, start
from gateway.backends import MemoryBackend, OnnxBackend
from gateway.config import Settings
from gateway.models.rows import Outputs, Rows
from tests.conftest import MIXED, linear_graph, write_model

Scheme = Literal["light", "dark"]
#: How long anything may take on a busy machine.
PATIENCE_MS = 30_000
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}

#: The mixed model, answered by ONNX Runtime twice and by a function.
SHOWN: dict[str, Any] = MIXED | {
    "description": 'Adds <img src="x"> up.',  # to be shown as it is, not as a picture
    "backends": {
        "onnx": {
            "lineages": {
                "pytorch": {"artifact": "mixed.onnx"},
                "tensorflow": {"artifact": "mixed.onnx"},
            }
        },
        "memory": {"lineages": {"pytorch": {}}},
    },
}
LINEAR: dict[str, Any] = {
    "name": "linear",
    "features": [{"name": "x", "type": "tensor", "shape": [3], "example": [1, 2, 3]}],
    "outputs": [{"name": "y", "shape": [1]}],
    "backends": {"onnx": {"lineages": {"onnx": {"artifact": "linear.onnx"}}}},
}


def press(page: Page, name: str) -> None:
    """Press the button of this name."""
    page.get_by_role("button", name=name, exact=True).click()


def write_repository(folder: Path) -> Path:
    """Two models: one of scalars of all kinds, one of a tensor."""
    write_model(folder / "mixed", SHOWN)
    version = write_model(folder / "linear", LINEAR)
    linear_graph(version / "linear.onnx", [1.0, 10.0, 100.0])
    return folder


def add_up(rows: Rows) -> Outputs:
    """What the mixed graph answers, a hundredth more."""
    columns: dict[str, Any] = dict(rows.columns)
    total = columns["count"] + columns["size"] + 100 * columns["big"] + 0.01
    return {"total": total.astype("float32"), "named": columns["name"]}


class Served:
    """A gateway in a thread, a context manager that stops it.

    Its backends are ONNX Runtime and ``memory``, or with ``usual`` those of the settings.
    """

    def __init__(self, repository: Path, usual: bool = False, **settings: Any) -> None:
        self.memory = MemoryBackend(add_up)
        self._usual = usual
        self._settings = Settings(repository=str(repository), **settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _start(self) -> str:
        backends = {"onnx": OnnxBackend(1), "memory": self.memory}
        app = create_app(self._settings, None if self._usual else backends)
        self._runner = await start(app, "127.0.0.1", 0)
        return "http://{}:{}".format(*self._runner.addresses[0][:2])


class Viewer:
    """A page that reaches the gateway and nothing else.

    ``heard`` is all it has complained of: exceptions, what stood in the console, and requests to
    anywhere else. An answer that is an error is heard as its status.
    """

    def __init__(
        self, browser: Browser, url: str, size: str = "desktop", scheme: Scheme = "light"
    ) -> None:
        width, height = SIZES[size]
        self._context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, base_url=url
        )
        self._context.set_default_timeout(PATIENCE_MS)
        self._url = url
        self.heard: list[str] = []
        self._context.route("**/*", self._let_pass)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.heard.append(f"exception: {error}"))

    def close(self) -> None:
        """Close the page."""
        self._context.close()

    def fits(self) -> bool:
        """Whether nothing is wider than the window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    def _let_pass(self, route: Route) -> None:
        if route.request.url.startswith(self._url):
            route.continue_()
        else:
            self.heard.append(f"asked for {route.request.url}")
            route.abort()

    def _listen(self, message: ConsoleMessage) -> None:
        status = message.text.partition("responded with a status of ")[2][:3]
        self.heard.append(status or f"console: {message.text}")
