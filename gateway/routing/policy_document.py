"""The routing policy as it is written: strict YAML, the keys it may have, and edits of them.

The YAML is read by a loader that takes nothing a person would not write on purpose: a key given
twice (YAML 1.2 section 3.2.1.3 forbids it, PyYAML takes the last), aliases and merge keys (a few
lines of which grow to gigabytes), deep nesting and long texts are refused.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from typing import Any

import msgspec
import yaml

from gateway.errors import ConfigError, shorten

#: About 1,300 models with every key given; PyYAML's own parser takes a second for as much.
MAX_BYTES = 256 * 1024
_MAX_DEPTH = 8
_MAX_SCALAR = 1_000
_LINE_WIDTH = 100

KEYS = ("default", "fallback", "canary", "shadow")
_SHAPE = (
    "allowed: default: ROUTE or auto; fallback: [ROUTE, …]; "
    "canary: {weights: {ROUTE: PERCENT, …}, sticky: HEADER}; "
    "shadow: {candidate: ROUTE, share: above 0 to 1}; where ROUTE is backend or backend/lineage"
)

Document = dict[str, Any]


class CanaryShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``canary`` as written."""

    weights: dict[str, float]
    sticky: str | None = None


class ShadowShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``shadow`` as written; without ``share`` every request is copied."""

    candidate: str
    share: float = 1.0


class ModelShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model's entry as written."""

    default: str | None = None
    fallback: tuple[str, ...] | None = None
    canary: CanaryShape | None = None
    shadow: ShadowShape | None = None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader that refuses a key given twice, and merge keys with it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        # The base class's, because SafeLoader's own resolves merge keys first.
        mapping: dict[Hashable, Any] = yaml.constructor.BaseConstructor.construct_mapping(
            self, node, deep
        )
        if len(mapping) < len(node.value):
            seen: set[Any] = set()
            for key, _ in node.value:
                name = self.construct_object(key, deep=True)
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {shorten(name)!r} is given twice", key.start_mark
                    )
                seen.add(name)
        return mapping


class _Dumper(yaml.SafeDumper):
    """A safe dumper that writes a value in two places twice, because aliases are refused."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read(text: str) -> Document:
    """The document of a policy file, ``{"models": {name: {key: …}}}``, of the right shape.

    Raises :class:`ConfigError` naming the model, what is wrong and what is allowed. Whether routes
    exist and numbers make sense is for :func:`gateway.routing.policy.parse` to say.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(f"is too long; allowed: {MAX_BYTES} bytes")
    try:
        _check_events(text)
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: a date or a number that Python cannot hold.
        raise ConfigError(f"cannot be read as YAML: {_reason(error)}") from error
    content = {} if content is None else content
    if not isinstance(content, dict) or not set(content) <= {"models"}:
        found = list(content) if isinstance(content, dict) else content
        raise ConfigError(f"holds {shorten(found)}; allowed: models, entries by model name")
    entries = {} if content.get("models") is None else content["models"]
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise ConfigError(f"models: holds {shorten(entries)}; allowed: entries by model name")
    # An empty entry is what is left when its lines are commented out.
    document = {"models": {name: {} if entry is None else entry for name, entry in entries.items()}}
    shapes(document)
    return document


def shapes(document: Document) -> dict[str, ModelShape]:
    """The document's entries by model name; raises :class:`ConfigError` as :func:`read` does."""
    result: dict[str, ModelShape] = {}
    for name, entry in document["models"].items():
        try:
            result[name] = msgspec.convert(entry, ModelShape)
        except msgspec.ValidationError as error:
            raise ConfigError(f"model {shorten(name)}: {error}; {_SHAPE}") from error
    return result


def write(document: Document, head: str = "") -> str:
    """The document as YAML in the order it has, below ``head``."""
    body: str = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=_LINE_WIDTH,
    )
    return head + body


def head_of(text: str) -> str:
    """The comment block a file begins with: its leading lines that are empty or begin with #."""
    lines = text.splitlines(keepends=True)
    others = (i for i, line in enumerate(lines) if line.strip() and line[0] != "#")
    count = next(others, len(lines))
    return "".join(lines[:count])


def set_value(document: Document, model: str, key: str, value: object | None) -> None:
    """Set ``default``, ``fallback``, ``canary`` or ``shadow`` of a model; None removes the key."""
    if key not in KEYS:
        raise ConfigError(f"model {model}: no key {shorten(key)!r}; allowed: {', '.join(KEYS)}")
    entry = document["models"].setdefault(model, {})
    if value is None:
        entry.pop(key, None)
    else:
        entry[key] = value
    if not entry:
        del document["models"][model]


def shift(
    document: Document,
    model: str,
    to_route: str,
    percent: float,
    backends: Collection[str] = (),
) -> None:
    """Move the canary so that ``to_route`` has ``percent``; the others share the rest.

    They share in proportion to what they had, equally where they had nothing. Where there is no
    canary yet, the other side is the model's ``default``, or the one backend among ``backends``
    (those the model has) that is not ``to_route``'s. Raises :class:`ConfigError` where there is no
    other side, or the percentage is none.
    """
    if not 0 <= percent <= 100:
        raise ConfigError(f"model {model}: {percent} is no percentage; allowed: 0 to 100")
    entry = document["models"].get(model, {})
    canary = entry.get("canary") or {"weights": {}}
    others = {route: weight for route, weight in canary["weights"].items() if route != to_route}
    if not others:
        others = {_other_side(entry, model, to_route, backends): 100}
    rest, total = 100 - percent, math.fsum(others.values())
    moved = {
        route: rest * weight / total if total else rest / len(others)
        for route, weight in others.items()
    }
    moved[to_route] = percent
    # In the order as written, so that the change is small in Git.
    order = dict.fromkeys((*canary["weights"], *moved))
    weights = {route: number(moved[route]) for route in order}
    set_value(document, model, "canary", {**canary, "weights": weights})


def number(value: float) -> float:
    """A percentage as people write it: 90 for 90.0, and no more than nine decimals."""
    rounded = round(float(value), 9)
    return int(rounded) if rounded.is_integer() else rounded


def _other_side(entry: dict[str, Any], model: str, to_route: str, backends: Collection[str]) -> str:
    default: str | None = entry.get("default")
    if default not in (None, "auto", to_route):
        return str(default)
    left = [name for name in backends if name != to_route.partition("/")[0]]
    if len(left) != 1:
        raise ConfigError(
            f"model {model}: canary: who shares with {to_route} is open; set the default to "
            "another route, or the canary's weights"
        )
    return left[0]


def _reason(error: Exception) -> str:
    """The parser's words on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{_line(error.problem_mark)}: {error.problem or error.context}"
    return shorten(" ".join(str(error).split()))


def _check_events(text: str) -> None:
    """Refuse what costs much to build before anything is; raises :class:`ConfigError`."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(
                f"{_line(event.start_mark)}: it is an alias; allowed: values written out"
            )
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _MAX_SCALAR:
            # A number in base 60, which YAML 1.1 has, takes a time that grows with its square.
            allowed = f"{_MAX_SCALAR} characters"
            raise ConfigError(f"{_line(event.start_mark)}: a value is too long; allowed: {allowed}")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                allowed = f"{_MAX_DEPTH} levels"
                raise ConfigError(
                    f"{_line(event.start_mark)}: it is nested too deep; allowed: {allowed}"
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(mark: Any) -> str:
    return f"line {mark.line + 1}"
