"""The commands that pages show, and whether the programs they name would take them."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

import serving.__main__
from gateway.cli import app
from tests.conftest import ROOT
from tests.docs.pages import blocks, spans

#: How a command begins, by the program.
_PROGRAMS = {
    "gateway": re.compile(r"(?:[A-Z_]+=\S+ +)*(?:\.venv/bin/)?gateway (?=[a-z-])"),
    "serving": re.compile(r"(?:[A-Z_]+=\S+ +)*(?:\.venv/bin/)?python -m serving (?=[a-z-])"),
}


@cache
def program(name: str) -> Any:
    """A program's command tree; the gateway's with what pyproject.toml installs beside it."""
    if name == "serving":
        return typer.main.get_command(serving.__main__.app)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {command.name for command in app.registered_commands}
    for command, place in project["entry-points"]["gateway.commands"].items():
        module, _, function = place.partition(":")
        if command not in known:
            app.command(command)(getattr(import_module(module), function))
    return typer.main.get_command(app)


def shown(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Program and arguments of each command in bash blocks and in code within the text."""
    texts = [block.replace("\\\n", " ") for block in blocks(page, "bash")]
    lines = [line for text in texts for line in _statements(text)]
    lines += [" ".join(span.split()) for span in spans(page)]
    for line in lines:
        for name, begin in _PROGRAMS.items():
            if found := begin.match(line.strip()):
                yield name, shlex.split(_cut(line.strip()[found.end() :]), comments=True)


def _statements(text: str) -> list[str]:
    """Lines, those within quotes joined."""
    lines: list[str] = []
    for line in text.splitlines():
        if lines and lines[-1].count("'") % 2:
            lines[-1] += "\n" + line
        else:
            lines.append(line)
    return lines


def _cut(line: str) -> str:
    """Without what the shell does with the output, and without dots that stand for more."""
    return re.split(r" [>|&]|;", line.replace("…", ""))[0]


def fault(name: str, arguments: list[str]) -> str | None:
    """What of a command the program does not know."""
    command = program(name)
    words = list(arguments)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        word = words.pop(0)
        if word not in command.commands:
            return f"no command {word!r}"
        command = command.commands[word]
    options = {option for param in command.params for option in param.opts} | {"--help"}
    for word in words:
        if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in options:
            return f"{command.name} has no option {word!r}"
    return None
