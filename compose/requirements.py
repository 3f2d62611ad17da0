"""Print the project's dependencies, so that an image can install them before the sources.

``python requirements.py [EXTRA,EXTRA]`` beside a ``pyproject.toml``; one requirement a line.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """The dependencies of the project and of its ``extras``; KeyError for one there is not."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    found: list[str] = list(project["dependencies"])
    for extra in extras:
        found += project["optional-dependencies"][extra]
    return found


if __name__ == "__main__":
    names = [name.strip() for name in "".join(sys.argv[1:2]).split(",") if name.strip()]
    print(*requirements(Path("pyproject.toml"), names), sep="\n")
