"""Plain ``.onnx`` files: each is described once, and anew when it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gateway.errors import GatewayError, ModelError, words_of
from gateway.models.derive import derive_manifest
from gateway.models.manifest import Manifest


class Source(NamedTuple):
    """A plain file at one time: where it lies, its size in bytes, when it was changed, in ns."""

    path: Path
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Source:
        """The file as it is now; raises OSError where there is none."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)


def describe(path: Path, known: Mapping[Source, Manifest]) -> tuple[Source, Manifest]:
    """The file and its manifest, out of ``known`` where it has not changed since.

    To derive one the graph is run, which may take seconds. Raises :class:`ModelError` where the
    file cannot be served, whatever is the matter with it.
    """
    try:
        source = Source.of(path)  # first: what is changed meanwhile is found changed next time
        return source, known.get(source) or derive_manifest(path)
    except GatewayError:
        raise
    except Exception as error:  # a graph nobody has seen before
        raise ModelError(f"{path.name}: {words_of(error)}") from error
