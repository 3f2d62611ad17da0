"""What lies in a model repository, to see when something has changed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gateway.models.manifest import MANIFEST_NAME

#: Size in bytes and time of change in ns, by path.
Listing = Mapping[str, tuple[int, int]]


def list_files(path: Path | None) -> Listing:
    """The manifests, plain graphs, and the files of all versions; nothing where it is neither."""
    if path is None or not path.exists():
        return {}
    alone = path.is_file() or (path / MANIFEST_NAME).is_file()
    folders = [path] if alone else sorted(path.iterdir())
    listing = {}
    for folder in folders:
        versions = [*folder.glob("[0-9]*"), *folder.glob("[0-9]*/**/*")] if folder.is_dir() else []
        plain = [folder] if folder.suffix == ".onnx" else []
        for file in (folder / MANIFEST_NAME, *plain, *versions):
            with suppress(OSError):
                found = file.stat()
                listing[str(file)] = found.st_size, found.st_mtime_ns
    return listing
