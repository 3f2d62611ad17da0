"""The import: load, describe, export, compare, and put the folder in place."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from gateway.client import predict_here
from gateway.config import Settings
from gateway.errors import GatewayError, ModelError
from gateway.models.manifest import MANIFEST_NAME, Manifest, Output
from gateway.models.manifest import Parity as Tolerance
from gateway.models.rows import Array
from serving import layout
from serving.build import install
from serving.export.card import write_card
from serving.export.manifest import to_yaml, with_ranges
from serving.importing.card import content
from serving.importing.describe import Description, describe, with_number
from serving.importing.errors import ImportRefused
from serving.importing.graph_file import save_graph
from serving.importing.lenient import told
from serving.importing.load import load
from serving.importing.original import Candidate
from serving.importing.parity import (
    Parity,
    check_labels,
    compare,
    compare_preprocessing,
    default_tolerance,
    finite,
    rows_of,
)
from serving.importing.request import Request
from serving.importing.sample import Sample, read_sample
from serving.importing.versions import Present, check_name, check_place

_HEADER = """\
# The manifest of the model {name}: the one definition of its payload and of what serves it.
# Written by `python -m serving import`. Descriptions and units are for people, add yours; `range`
# is what the sample held, lowest and highest, rounded outward.

"""


@dataclass(frozen=True)
class Imported:
    """What came of an import; `files` maps what lies in the version's folder to its parity."""

    folder: Path
    manifest: Manifest
    parity: Parity
    files: Mapping[str, float]
    notes: tuple[str, ...]


def import_model(request: Request) -> Imported:
    """Do what the request says and put the model's folder below ``request.out``.

    Everything is made in a temporary folder and moved at the end.

    Raises:
        ImportRefused: the model cannot be exported, answers something else after it, or there is
            another one already; nothing is written.
        ModuleNotFoundError: a framework is not installed.
    """
    name = _name(request) if request.name is None else request.name
    check_name(name)
    sample = None if request.sample is None else read_sample(request.sample)
    original = load(request, sample)
    described = describe(original, sample, request.targets, request.images)
    check_place(request, name)
    try:
        return _export(request, name, described, sample)
    except ImportRefused as error:
        if not any(told(described.features, described.features)):
            raise
        first = error
    try:
        described = describe(original, sample, request.targets, request.images, lenient=False)
        why = f"only complete rows of values it has learned are answered: {first}"
        return _export(request, name, described, sample, why)
    except ImportRefused:
        raise first from None


def _left_out(described: Description, sample: Sample | None) -> Iterator[str]:
    """Which rows of the sample are not compared, and why."""
    left = described.left
    if sample is not None and left.rows:
        reasons = ", ".join(f"{why} in {rows}" for why, rows in left.because.items())
        yield f"{left.rows} of {len(sample)} sample rows are left out: {reasons}"


def _export(
    request: Request,
    name: str,
    described: Description,
    sample: Sample | None,
    *notes: str,
) -> Imported:
    """The first candidate that answers what the model answers; raises what is wrong with the
    first one where none does."""
    answers = described.original.answer(described.columns)
    finite(answers)
    refused: list[ImportRefused] = []
    candidates = described.original.candidates(described.columns)
    while True:
        try:
            candidate = next(candidates)
            with tempfile.TemporaryDirectory() as folder:
                imported = _build(
                    request, Path(folder) / name, described, sample, candidate, answers
                )
            said = told(described.features, imported.manifest.features)
            notes = (*_left_out(described, sample), *said, *notes, *imported.notes)
            return replace(imported, notes=notes)
        except ImportRefused as error:
            refused.append(error)
        except StopIteration:
            # The first was the plain way; what was wrong with others is no help.
            raise refused[0] from None


def _build(
    request: Request,
    folder: Path,
    described: Description,
    sample: Sample | None,
    candidate: Candidate,
    answers: Mapping[str, Array],
) -> Imported:
    """Write one candidate into the empty `folder`, prove it, and move it into place.

    It is proved by its own manifest; what is written is joined with the one that is there.
    """
    original = described.original
    artifact = f"{original.lineage}.onnx"
    version = folder / request.version
    version.mkdir(parents=True)
    manifest = _manifest(request, folder.name, described, candidate, answers, artifact)
    save_graph(candidate.graph, version / artifact)
    rows = rows_of(manifest, described.columns, described.pictures)
    tolerance = manifest.parity.absolute
    parity, found = compare(version / artifact, rows, answers, tolerance)
    labels = original.labels(described.columns)
    if labels is not None:
        # By its own names of the classes; --label renames them, by their order.
        own = original.outputs(answers)[0]
        check_labels(own, found[own.name], labels)
    files = {artifact: max(parity.greatest_difference.values())}
    notes: tuple[str, ...] = ()
    if (present := Present.find(request, folder.name)) is not None:
        manifest, notes = present.join(manifest, request)
    (folder / MANIFEST_NAME).write_text(to_yaml(manifest, _HEADER), encoding="utf-8")
    backends = dict(manifest.backends)
    for companion in original.companions(
        folder / MANIFEST_NAME, version, None, described.columns, tolerance
    ):
        spec = type(backends["onnx"])({original.lineage: companion.options})
        backends[companion.backend] = spec
        files[companion.file] = companion.difference
    if (preprocess := version / layout.PREPROCESS).exists():
        tensor = original.tensor(described.columns)
        files[preprocess.name] = compare_preprocessing(preprocess, rows, tensor, tolerance)
    manifest = msgspec.structs.replace(manifest, backends=backends)
    (folder / MANIFEST_NAME).write_text(to_yaml(manifest, _HEADER), encoding="utf-8")
    written = content(request, described, sample, candidate, manifest, parity, files)
    write_card(version / layout.CARD, written, original.packages)
    _check_served(folder, manifest)
    if present is not None:
        present.check_backends(manifest)
    target = request.out / folder.name
    install(folder, target, request.version)
    return Imported(target, manifest, parity, files, (*original.notes, *notes))


def _manifest(
    request: Request,
    name: str,
    described: Description,
    candidate: Candidate,
    answers: Mapping[str, Array],
    artifact: str,
) -> Manifest:
    original = described.original
    tolerance = request.tolerance
    manifest = Manifest(
        name=name,
        description=request.description or f"{original.kind}.",
        features=with_number(described.features, candidate.number),
        outputs=_labelled(original.outputs(answers), request),
        backends=original.backends(artifact),
        parity=Tolerance(default_tolerance(answers) if tolerance is None else tolerance),
    )
    try:
        manifest = with_ranges(manifest, described.seen)
        manifest.check()
    except ModelError as error:
        raise ImportRefused(f"there can be no manifest: {error.detail}") from error
    return manifest


def _labelled(outputs: tuple[Output, ...], request: Request) -> tuple[Output, ...]:
    """The first output with the labels and the threshold that were asked for."""
    if not request.labels:
        if request.threshold is not None:
            raise ImportRefused("--threshold: say the two labels too, by --label")
        return outputs
    first = outputs[0]
    single = first.shape == () and len(request.labels) == 2
    if not single and first.shape != (len(request.labels),):
        raise ImportRefused(
            f"--label: output {first.name} has shape {first.shape} a row, there are"
            f" {len(request.labels)} labels"
        )
    if request.threshold is not None and not single:
        raise ImportRefused("--threshold: it is for one value and two labels")
    threshold = (0.5 if request.threshold is None else request.threshold) if single else None
    labelled = msgspec.structs.replace(first, labels=request.labels, threshold=threshold)
    return (labelled, *outputs[1:])


def _check_served(folder: Path, manifest: Manifest) -> None:
    """Ask the gateway, in this process, for the manifest's example; raises ImportRefused."""
    settings = Settings(repository=str(folder))
    body = msgspec.json.encode(manifest.example)
    try:
        asyncio.run(predict_here(settings, body, {"backend": "onnx"}))
    except GatewayError as error:
        raise ImportRefused(f"the gateway cannot serve the folder: {error.detail}") from error


def _name(request: Request) -> str:
    """A name made of the file's or the object's own."""
    source = request.source or request.module or ""
    path = Path(source)
    stem = source.rpartition(":")[2] if ":" in source else path.stem or path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "model"
