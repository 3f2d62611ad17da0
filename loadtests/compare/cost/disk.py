"""What files take on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def size_mb(paths: Iterable[Path]) -> float:
    """MB (10⁶ bytes) of files, and of all files in folders.

    What is not there counts nothing, and a file counts once however often and by whatever name it
    comes. Links inside folders are not followed, and compiled Python is left out there.
    """
    seen: dict[tuple[int, int], int] = {}
    for path in paths:
        for file in _walk(path) if path.is_dir() else (path,):
            try:
                status = file.stat()
            except OSError:
                continue
            seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values()) / 1e6


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            file = Path(where, name)
            if not file.is_symlink():
                yield file
