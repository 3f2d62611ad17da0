"""Which distributions a requirement brings with it, and their files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Closure:
    """What a requirement comes to: distributions by name, and what of it is not installed."""

    found: dict[str, Distribution] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def closure(requirement: str, path: Sequence[str] | None = None) -> Closure:
    """The requirement (``name`` or ``name[extra]``), all it requires here, and so on.

    Markers decide as pip lets them. ``path`` are the folders where distributions lie, by default
    those of this interpreter.
    """
    index = _index(path)
    result = Closure()
    waiting = [Requirement(requirement)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        distribution = index.get(name)
        if distribution is None:
            if name not in result.missing:
                result.missing.append(name)
            continue
        result.found[name] = distribution
        waiting += _requires(distribution, extras)
    return result


def files(distribution: Distribution) -> list[Path] | None:
    """Where its files should be; folders for an editable one; None where nothing tells.

    A file its record lists may be gone.
    """
    source = _editable(distribution)
    if source is not None:
        names = (distribution.read_text("top_level.txt") or "").split()
        return [source / name for name in names]
    listed = distribution.files
    return None if listed is None else [Path(str(one.locate())) for one in listed]


def _index(path: Sequence[str] | None) -> dict[str, Distribution]:
    index: dict[str, Distribution] = {}
    for one in distributions() if path is None else distributions(path=list(path)):
        name = one.metadata["Name"]
        if name:  # a broken folder has none
            index.setdefault(canonicalize_name(name), one)  # the first is the one imported
    return index


def _requires(distribution: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in distribution.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _editable(distribution: Distribution) -> Path | None:
    """The source folder of a distribution that is installed in place."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))
