"""Print the project's dependencies, so that an image can install them before the sources.

``python requirements.py [EXTRA,EXTRA] [ONNXRUNTIME]`` beside a ``pyproject.toml``; one requirement
a line. ``ONNXRUNTIME`` takes the place of ``onnxruntime``, whose builds for other processors are
packages of their own that cannot stand beside it: ``onnxruntime-gpu[cuda,cudnn]``, for one.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str], onnxruntime: str = "") -> list[str]:
    """The dependencies of the project and of its ``extras``; KeyError for one there is not.

    ``onnxruntime``, unless empty, is required in the place of ``onnxruntime``.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    found: list[str] = list(project["dependencies"])
    for extra in extras:
        found += project["optional-dependencies"][extra]
    if not onnxruntime:
        return found
    return [onnxruntime if re.match(r"onnxruntime\b(?!-)", one) else one for one in found]


if __name__ == "__main__":
    names = [name.strip() for name in "".join(sys.argv[1:2]).split(",") if name.strip()]
    instead = "".join(sys.argv[2:3])
    print(*requirements(Path("pyproject.toml"), names, instead), sep="\n")
