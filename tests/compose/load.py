"""Clients that go on asking in the background, and what became of their requests."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import Any, Self

import requests

from tests.compose.composition import wait_for


class Load:
    """``clients`` threads that ask one backend one after another; a context manager."""

    def __init__(self, url: str, backend: str, body: Any, clients: int = 4) -> None:
        self._url = f"{url}/v1/predict?backend={backend}"
        self._body = body
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        #: HTTP statuses and the names of exceptions.
        self.outcomes: Counter[str] = Counter()
        #: The model's version that gave each good answer, in order.
        self.versions: list[str] = []
        #: Seconds of the longest request.
        self.longest = 0.0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, count: int, within: float = 30) -> None:
        """Return after so many further requests, however they ended."""
        wanted = self.outcomes.total() + count
        wait_for(lambda: self.outcomes.total() >= wanted, within)

    def _ask(self) -> None:
        with requests.Session() as session:
            while not self._end.is_set():
                try:
                    answer = session.post(self._url, json=self._body, timeout=30)
                    outcome = str(answer.status_code)
                    if answer.ok:
                        self.versions.append(answer.json()["version"])
                    self.longest = max(self.longest, answer.elapsed.total_seconds())
                except requests.RequestException as failure:
                    outcome = type(failure).__name__
                self.outcomes[outcome] += 1
                self._end.wait(0.005)
