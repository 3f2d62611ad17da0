"""What one import is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.models.manifest import Feature
from serving.importing.spec import Spec


@dataclass(frozen=True)
class Request:
    """The options of ``python -m serving import``; see its help for each."""

    source: str | None = None
    out: Path = Path("models")
    name: str | None = None
    version: str = "1"
    description: str = ""
    sample: Path | None = None
    targets: tuple[str, ...] = ()
    module: str | None = None
    weights: Path | None = None
    checkpoint: Path | None = None
    inputs: tuple[Spec, ...] = ()
    images: tuple[Feature, ...] = ()
    outputs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    signature: str | None = None
    preprocess: Path | None = None
    tolerance: float | None = None
    trust: bool = False
    replace: bool = False
