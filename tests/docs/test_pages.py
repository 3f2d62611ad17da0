"""Links lead somewhere, commands exist, manifests can be read, in all pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
import yaml

from gateway.models.manifest import Manifest
from tests.conftest import MIXED, ROOT
from tests.docs.commands import fault, shown
from tests.docs.pages import anchors, blocks, links, pages

#: A model's own pages and those of other people's code are not ours to check.
PAGES = [page for page in pages() if "vendor" not in page.parts]
GUIDES = [page for page in PAGES if page.parent.name == "docs"]
README = ROOT / "README.md"
#: What makes a shell find the commands in .venv.
ACTIVATE = ". .venv/bin/activate"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not target.is_relative_to(ROOT):
            broken.append(f"{link}: there is no such file")
        elif fragment and fragment not in anchors(target):
            broken.append(f"{link}: there is no such heading; there is: {sorted(anchors(target))}")
    assert not broken


def test_links_are_found() -> None:
    assert "docs/settings.md" in links(README)
    assert "quickstart" in anchors(README)


@every_page
def test_commands_exist(page: Path) -> None:
    faults = {f"{n} {' '.join(words)}": fault(n, words) for n, words in shown(page)}
    assert not {command: why for command, why in faults.items() if why}


def test_faults_of_commands_are_seen() -> None:
    assert list(shown(README))
    assert fault("gateway", ["serve", "models", "--port", "1"]) is None
    assert fault("gateway", ["route", "set", "m", "--default", "onnx"]) is None
    assert fault("gateway", ["serve", "--prot", "1"]) == "serve has no option '--prot'"
    assert fault("gateway", ["route", "get"]) == "no command 'get'"
    assert fault("serving", ["biuld"]) == "no command 'biuld'"


@pytest.mark.parametrize("page", [README, *GUIDES], ids=name)
def test_commands_are_found_where_they_were_installed(page: Path) -> None:
    """`make serve` installs into .venv: a command says so, or the page activates it first."""
    text, astray = page.read_text(encoding="utf-8"), []
    for block in blocks(page, "bash"):
        before = text[: text.index(block) + len(block)]
        bare = re.findall(r"^ *(?:[A-Z_]+=\S+ +)*(?:gateway|python|pip|locust|dvc) .*", block, re.M)
        if ACTIVATE not in before:
            astray += bare
    assert not astray


@pytest.mark.parametrize("page", GUIDES, ids=name)
def test_manifests_can_be_read(page: Path) -> None:
    """A block that is only a part of a manifest takes the rest from another one."""
    for block in blocks(page, "yaml"):
        content: Any = yaml.safe_load(block)
        if isinstance(content, dict) and content.keys() & {"features", "outputs", "backends"}:
            msgspec.convert(MIXED | content, Manifest).check()


def test_every_guide_is_in_the_list() -> None:
    listed = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in links(INDEX)}
    assert set(GUIDES) - {INDEX} <= listed


INDEX = ROOT / "docs" / "README.md"
