"""What ``card.json`` tells of an imported model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.models.manifest import Manifest
from serving.importing.describe import Description
from serving.importing.original import Candidate
from serving.importing.parity import Parity
from serving.importing.request import Request
from serving.importing.sample import Sample


def content(
    request: Request,
    described: Description,
    sample: Sample | None,
    candidate: Candidate,
    manifest: Manifest,
    parity: Parity,
    files: Mapping[str, float],
) -> dict[str, Any]:
    """The card's own part; date, versions and hashes of the folder's files are added to it."""
    original = described.original
    rows: dict[str, Any] = {"source": "generated: numbers around 0, not what the model will get"}
    if sample is not None:
        rows = {"source": sample.path.name, "sha256": sample.sha256, "rows": len(sample)}
        rows["left_out"] = described.left.rows
        rows["because"] = described.left.because
        rows["ranges"] = {name: list(limits) for name, limits in described.seen.items()}
    return {
        "name": manifest.name,
        "version": request.version,
        "architecture": original.kind,
        "imported": {
            "from": _source(request),
            "files": {file.name: _sha256(file) for file in original.files},
            "numbers": candidate.number,
        },
        "sample": rows,
        "parity": {
            "rows": parity.rows,
            "tolerance": parity.tolerance,
            "outputs": parity.greatest_difference,
            "greatest_difference": dict(files),
        },
        "notes": original.notes,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _source(request: Request) -> str:
    """What was asked for, without the folders of the machine it lay on."""
    source = request.source or request.module or ""
    return source if ":" in source and "/" not in source else Path(source).name
