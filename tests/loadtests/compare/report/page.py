"""A report's HTML taken apart."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

#: Elements that have no end.
_VOID = {"meta", "link", "wbr", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Its ids and how often each occurs, its links, its texts by id, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.tags: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("id")
        self.tags[tag] += 1
        if name is not None:
            self.ids[name] += 1
        href = given.get("href") or given.get("xlink:href")
        if href is not None and tag in {"a", "use"}:
            self.links.append(href)
        elif href is not None:
            self.loaded.append(href)
        self.loaded += [value for key, value in attrs if key in {"src", "srcset", "data"} and value]
        if tag not in _VOID:
            self._open.append((tag, name))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> where <{opened}> is open"

    def handle_data(self, data: str) -> None:
        for _, name in self._open:
            if name is not None:
                self.texts[name] = self.texts.get(name, "") + data
