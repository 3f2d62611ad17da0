"""The pages of the documentation: their blocks of code, headings and links."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

_FENCE = re.compile(r"^( *)(```+)(\w*)[^\n]*\n(.*?)^\1\2 *$", re.M | re.S)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)
_LINK = re.compile(r"(?<!\\)\]\((?P<to>[^()\s]+(?:\([^()\s]*\))?)(?: \"[^\"]*\")?\)")


@cache
def pages() -> tuple[Path, ...]:
    """Every Markdown page of the project: what git has or would take."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
    found = {ROOT / name.decode() for name in names.split(b"\0") if name}
    return tuple(sorted(path for path in found if path.is_file()))


def blocks(page: Path, language: str, until: str | None = None) -> list[str]:
    """The code blocks of a language, in order; those before the line ``until``, where given."""
    text = page.read_text(encoding="utf-8")
    if until is not None:
        text = text[: text.index(f"\n{until}\n")]
    return [body for _, _, kind, body in _FENCE.findall(text) if kind == language]


def spans(page: Path) -> list[str]:
    """What stands between backticks within the text."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8")).replace("``", "")
    return re.findall(r"`([^`]+)`", text)


def prose(page: Path) -> str:
    """The page without its code."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]+`", "", text)


def links(page: Path) -> list[str]:
    """What the page links to."""
    return [match["to"] for match in _LINK.finditer(prose(page))]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The fragments that lead to a heading of the page, as code hosts make them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in _HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number, name = 0, slug
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return frozenset(found)
