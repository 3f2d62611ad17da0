"""What must be installed for a server, in MB."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.compare.cost.closure import closure, files
from loadtests.compare.cost.disk import size_mb
from loadtests.compare.errors import CompareError
from loadtests.compare.results import Figure, figure_id
from serving.launch import LaunchError
from serving.launch.requirements import find_java

_OURS = "model-serving-gateway"
#: Parts of an installation that are named.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Need:
    """What a server needs: Python packages as pip is told them, a Java runtime, a program."""

    packages: str | None = None
    java: bool = False
    program: str | None = None


#: By the server's name.
NEEDS: Mapping[str, Need] = {
    "gateway": Need(packages=_OURS),
    "torchserve": Need(packages=f"{_OURS}[torchserve]", java=True),
    "tfserving": Need(program="tensorflow_model_server"),
}
#: Where a stand-in answers for the server.
STAND_INS: Mapping[str, Need] = {"tfserving": Need(packages=f"{_OURS}[tfserving]")}


def installed(
    server: str, stand_in: str | None = None, path: Sequence[str] | None = None
) -> Figure:
    """MB (10⁶ bytes) of all that is installed for ``server``; None where a part is not here.

    A server nobody has declared in :data:`NEEDS` is not applicable. ``path`` are the folders where
    Python distributions lie, by default those of this interpreter.
    """
    need = (NEEDS if stand_in is None else STAND_INS).get(server)
    value, remark = None, "not applicable: what it needs is not known"
    if need is not None:
        try:
            parts = _parts(need, path)
            value, remark = sum(parts.values()), _largest(need, parts)
        except CompareError as error:
            remark = str(error)
    return Figure(
        id=figure_id("cost", server, "install"),
        what=f"installed for {server}",
        value=value,
        unit="MB",
        stand_in=stand_in,
        remark=remark,
    )


def java_home(java: str) -> Path:
    """The folder of the runtime a ``java`` program belongs to; raises :class:`CompareError`."""
    # Asked, because the program may be a link or a script anywhere.
    command = [java, "-XshowSettings:properties", "-version"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(r"^\s*java\.home = (.+)$", told.stderr + told.stdout, re.MULTILINE)
    if match is None:
        raise CompareError("Java does not tell where its home is")
    return Path(match[1].strip())


def _parts(need: Need, path: Sequence[str] | None) -> dict[str, float]:
    """MB by part; raises :class:`CompareError` naming what is not installed."""
    parts: dict[str, float] = {}
    if need.packages is not None:
        parts |= _packages(need.packages, path)
    if need.java:
        try:
            parts["Java"] = size_mb([java_home(find_java())])
        except LaunchError:
            raise CompareError("not installed here: Java") from None
    if need.program is not None:
        program = shutil.which(need.program)
        if program is None:
            raise CompareError(f"not installed here: {need.program}")
        parts[need.program] = size_mb([Path(program)])
    return parts


def _packages(requirement: str, path: Sequence[str] | None) -> dict[str, float]:
    found = closure(requirement, path)
    if found.missing:
        raise CompareError(f"not installed here: {', '.join(sorted(found.missing))}")
    parts = {}
    for name, distribution in found.found.items():
        listed = files(distribution)
        if listed is None:
            raise CompareError(f"{name} is installed without a list of its files")
        parts[name] = size_mb(listed)
    return parts


def _largest(need: Need, parts: Mapping[str, float]) -> str:
    largest = sorted(parts, key=lambda name: -parts[name])[:_NAMED]
    sizes = ", ".join(f"{name} {parts[name]:,.0f}" for name in largest)
    extra = (need.packages or "").removeprefix(_OURS)
    command = f"pip install '.{extra}'" if need.packages else need.program
    with_java = " and Java" if need.java else ""
    return f"{command}{with_java}; largest: {sizes}"
