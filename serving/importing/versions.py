"""What lies in the model's folder already: other versions, and what people wrote in ``model.yaml``.

A folder has one manifest for all its versions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from gateway.errors import ModelError
from gateway.models.image_feature import row_shape
from gateway.models.manifest import MANIFEST_NAME, NAME, Feature, Manifest, Output
from gateway.models.manifest import Parity as Tolerance
from serving import layout
from serving.importing.errors import ImportRefused
from serving.importing.lenient import LEARNED
from serving.importing.request import Request

#: What of a feature and of an output all versions must have in common.
_FEATURE = (
    "name", "type", "shape", "element", "categories", "finite",
    "mode", "size", "layout", "scale", "mean", "std",
)  # fmt: skip
#: What its array is made of.
_ARRAY = ("type", "element", "shape")
_OUTPUT = ("name", "shape", "labels", "threshold")


def check_name(name: str) -> None:
    """Refuse a name that no model may have, such as one that leads to another folder."""
    if not re.fullmatch(NAME, name):
        raise ImportRefused(f"--name {name}: it must match {NAME}")


def check_place(request: Request, name: str) -> None:
    """Refuse a version that is no number, or is there and would be overwritten."""
    if not request.version.isdecimal() or int(request.version) < 1:
        raise ImportRefused(f"--version {request.version}: it must be 1, 2, …")
    folder = request.out / name
    if not (folder / MANIFEST_NAME).exists() or request.replace:
        return
    if (folder / request.version).exists():
        raise ImportRefused(
            f"{folder} has a version {request.version}; say --replace, --name or --version"
        )


@dataclass(frozen=True)
class Present:
    """The folder that an import goes to, its manifest, and the versions that stay beside it."""

    folder: Path
    theirs: Manifest
    others: tuple[str, ...]

    @classmethod
    def find(cls, request: Request, name: str) -> Self | None:
        """The folder of that name, None where there is none; raises ImportRefused."""
        folder = request.out / name
        if not (folder / MANIFEST_NAME).exists():
            return None
        try:
            theirs = Manifest.load(folder)
        except ModelError as error:
            raise ImportRefused(f"the folder has a manifest already: {error.detail}") from error
        numbers = {entry.name for entry in folder.iterdir() if entry.name.isdecimal()}
        return cls(folder, theirs, tuple(sorted(numbers - {request.version}, key=int)))

    def join(self, manifest: Manifest, request: Request) -> tuple[Manifest, tuple[str, ...]]:
        """The manifest of an import with what the folder's own says beyond it; notes for the user.

        Descriptions, units, batching and the like are kept. Where other versions stay, ranges and
        parity become wide enough for all. Raises ImportRefused where features or outputs are
        others than theirs.
        """
        theirs = self.theirs
        told = request.description or _own_words(self.folder, request.version, theirs.description)
        joined = msgspec.structs.replace(
            manifest,
            description=told or manifest.description,
            features=_pairs(manifest.features, theirs.features, _feature(bool(self.others))),
            outputs=_pairs(manifest.outputs, theirs.outputs, _output(request)),
            batching=theirs.batching,
            out_of_range=theirs.out_of_range,
            warm_up=theirs.warm_up,
        )
        if not self.others:
            return joined, ()
        self._check("features", _FEATURE, joined)
        self._check("outputs", _OUTPUT, joined)
        widened, notes = _widened(theirs, joined, self.others)
        lost = [
            one.name
            for one, ours in zip(joined.features, manifest.features, strict=True)
            if one.finite and not ours.finite
        ]
        return widened, (*notes, *(f"{name}: null is refused, as before" for name in lost))

    def check_backends(self, manifest: Manifest) -> None:
        """Refuse backends that the versions which stay do not have."""
        if self.others and (self.theirs.backends != manifest.backends or not self.theirs.batched):
            raise self._refused("backends")

    def _check(self, what: str, fields: tuple[str, ...], manifest: Manifest) -> None:
        there, here = (_signature(m, what, fields) for m in (self.theirs, manifest))
        if there != here:
            raise self._refused(what, f" ({_first(there, here)})")

    def _refused(self, what: str, how: str = "") -> ImportRefused:
        return ImportRefused(
            f"{self.folder} has versions with other {what}, which one manifest cannot describe"
            f"{how}; give the model another --name"
        )


def _own_words(target: Path, version: str, description: str) -> str:
    """The description, unless it only says what the version that is replaced was made of."""
    try:
        card = json.loads((target / version / layout.CARD).read_bytes())
    except (OSError, ValueError):
        return description
    return "" if description == f"{card.get('architecture')}." else description


def _pairs(ours: Iterable[Any], theirs: Iterable[Any], join_one: Any) -> tuple[Any, ...]:
    known = {entry.name: entry for entry in theirs}
    return tuple(join_one(one, known[one.name]) if one.name in known else one for one in ours)


def _feature(shared: bool) -> Any:
    """How a feature is joined with theirs; `shared` with that of versions that stay."""

    def joined(ours: Feature, theirs: Feature) -> Feature:
        if _pictured(ours, theirs):
            return theirs
        written = theirs.description and not theirs.description.startswith(LEARNED)
        closed = shared and theirs.categories is not None
        ours = msgspec.structs.replace(
            ours,
            description=theirs.description if written or closed else ours.description,
            unit=theirs.unit,
        )
        if any(getattr(ours, what) != getattr(theirs, what) for what in _ARRAY):
            return ours
        if ours.type != "number":
            ours = msgspec.structs.replace(ours, finite=theirs.finite)
        if shared:
            # A version that stays was not tried with what only ours answers.
            ours = msgspec.structs.replace(
                ours,
                finite=ours.finite or theirs.finite,
                categories=ours.categories or theirs.categories,
            )
        derived = ours.range is not None or ours.categories is not None or theirs.example is None
        return msgspec.structs.replace(
            ours,
            range=ours.range or theirs.range,
            example=ours.example if derived else theirs.example,
        )

    return joined


def _pictured(ours: Feature, theirs: Feature) -> bool:
    """Whether they made pictures of the tensor we have, or the same as we do."""
    if theirs.type != "image" or ours.element != theirs.element:
        return False
    if ours.type == "tensor":
        return ours.shape == row_shape(theirs)
    return _picture(ours) == _picture(theirs)


def _picture(feature: Feature) -> tuple[Any, ...]:
    """How its pictures become an array, with what a manifest may leave unsaid."""
    ways = (feature.mode or "RGB", feature.layout or "HWC", feature.scale or 1.0)
    return (feature.type, feature.size, *ways, feature.mean, feature.std)


def _output(request: Request) -> Any:
    def joined(ours: Output, theirs: Output) -> Output:
        kept = msgspec.structs.replace(
            ours, description=theirs.description or ours.description, unit=theirs.unit
        )
        if ours.labels is None and ours.shape == theirs.shape:
            return msgspec.structs.replace(kept, labels=theirs.labels, threshold=theirs.threshold)
        if ours.labels == theirs.labels and request.threshold is None:
            return msgspec.structs.replace(kept, threshold=theirs.threshold)
        return kept

    return joined


def _signature(manifest: Manifest, what: str, fields: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """What of a section of the manifest a version depends on."""
    return [tuple(_fact(one, field) for field in fields) for one in getattr(manifest, what)]


def _fact(one: Any, field: str) -> Any:
    value = getattr(one, field)
    if field == "finite":
        return None if value else "null for NaN"
    return value


def _first(theirs: list[tuple[Any, ...]], ours: list[tuple[Any, ...]]) -> str:
    """Where two sections differ first, in words."""
    for one, other in zip(theirs, ours, strict=False):
        if one != other:
            before, after = (
                ", ".join(str(value) for value in entry[1:] if value not in (None, ()))
                for entry in (one, other)
            )
            if one[0] != other[0]:
                return f"{one[0]} there, {other[0]} here"
            return f"{one[0]}: {before} there, {after} here"
    return f"{len(theirs)} there, {len(ours)} here"


def _widened(
    theirs: Manifest, ours: Manifest, others: tuple[str, ...]
) -> tuple[Manifest, tuple[str, ...]]:
    """Ranges from the lowest to the highest of both, and the greater parity."""
    known = {feature.name: feature.range for feature in theirs.features}
    features = tuple(
        msgspec.structs.replace(one, range=_span(one.range, known[one.name]))
        for one in ours.features
    )
    parity = Tolerance(max(theirs.parity.absolute, ours.parity.absolute))
    notes = [
        f"{name}: the range is that of all versions, {one[0]:g}–{one[1]:g}"
        for name, one in ((f.name, f.range) for f in features)
        if one is not None and known[name] is not None and one != known[name]
    ]
    if parity != theirs.parity:
        notes.append(f"parity {parity.absolute:g} holds for version {', '.join(others)} too")
    elif parity != ours.parity:
        notes.append(f"parity stays {parity.absolute:g}, for version {', '.join(others)}")
    joined = msgspec.structs.replace(ours, features=features, parity=parity)
    return joined, tuple(notes)


def _span(
    one: tuple[float, float] | None, other: tuple[float, float] | None
) -> tuple[float, float] | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])
