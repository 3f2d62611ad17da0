"""The architecture page against the code: its table of rooms, and the files it names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.pages import spans

PAGE = ROOT / "docs" / "architecture.md"
ROOMS = ("api", "routing", "backends", "models")
#: What must be there to build models, and must not be there to serve them.
HEAVY = {"torch", "tensorflow", "sklearn", "onnx", "keras", "skl2onnx", "tf2onnx", "pandas"}


def table() -> dict[str, set[str]]:
    """By folder what the page's table lets it import."""
    rows = re.findall(r"^\| `([\w/]+)/` \|.*\| ([^|]*) \|$", PAGE.read_text("utf-8"), re.M)
    return {folder: set(re.findall(r"`([^`]+)`", may)) for folder, may in rows}


def imported(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file below a folder with each module it imports, at whatever place."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield path, node.module
                yield from ((path, f"{node.module}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_point_one_way(room: str) -> None:
    below = {"gateway." + name for name in ROOMS[: ROOMS.index(room)]}
    wrong = {
        f"{path.relative_to(ROOT)} imports {module}"
        for path, module in imported(ROOT / "gateway" / room)
        if any(module == name or module.startswith(name + ".") for name in below)
    }
    assert not wrong


@pytest.mark.parametrize("room", [*ROOMS, "inspection"])
def test_a_room_imports_what_the_table_says(room: str) -> None:
    """Other rooms, and from `models` no file of gateway/ but the one that is named."""
    folders = {path.parent.name for path in (ROOT / "gateway").glob("*/__init__.py")}
    files = {path.stem for path in (ROOT / "gateway").glob("*.py")}
    modules = {module for _, module in imported(ROOT / "gateway" / room)}
    names = {module.split(".")[1] for module in modules if module.startswith("gateway.")}
    found = names & (folders if room != "models" else folders | files)
    assert len(found) > 1
    assert found <= table()[f"gateway/{room}"] | {room}


@pytest.mark.parametrize("folder", ["handlers", "serving", "loadtests"])
def test_a_folder_imports_what_the_table_says(folder: str) -> None:
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    found = {module.partition(".")[0] for _, module in imported(ROOT / folder)} & ours
    assert "gateway" in found
    assert found <= {name.partition("/")[0] for name in table()[folder]} | {folder}


def test_the_server_needs_nothing_of_what_builds_models() -> None:
    foreign = {"serving", "loadtests", "handlers", "tests"} | HEAVY
    found = {
        (path.relative_to(ROOT / "gateway").parts[0], module.partition(".")[0])
        for path, module in imported(ROOT / "gateway")
        if module.partition(".")[0] in foreign
    }
    # `gateway inspect` says more of a graph where the extra [onnx] is installed.
    assert found <= {("inspection", "onnx")}


def test_the_handler_needs_only_what_is_packed_with_it() -> None:
    ours = {module for _, module in imported(ROOT / "handlers") if module.startswith("gateway")}
    assert ours
    assert all(module.startswith(("gateway.models", "gateway.errors")) for module in ours)


def test_named_files_exist() -> None:
    named = [span for span in spans(PAGE) if re.fullmatch(r"\w[\w/.-]*(\.py|\.js|/)", span)]
    assert len(named) > 20
    places = (ROOT, ROOT / "gateway", ROOT / "gateway" / "models", ROOT / "gateway" / "routing")
    missing = [name for name in named if not any((place / name).exists() for place in places)]
    assert not missing
