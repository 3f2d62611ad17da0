"""``card.json``: how a model version was made, and how good it is."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "numpy",
    "scikit-learn",
    "torch",
    "tensorflow",
    "keras",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "skl2onnx",
    "tf2onnx",
    "torch-model-archiver",
)


def write_card(path: Path, content: dict[str, Any], libraries: Sequence[str] = LIBRARIES) -> None:
    """Write the card beside the files it describes, with their hashes, the date and the versions.

    `content` comes first; the hashes cover every other file of the card's folder. `libraries` are
    the packages whose versions are told; all must be installed.
    """
    card = {
        **content,
        "created": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in libraries},
        "files": _hashes(path),
    }
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _hashes(card: Path) -> dict[str, dict[str, Any]]:
    files = sorted(file for file in card.parent.rglob("*") if file.is_file() and file != card)
    return {
        file.relative_to(card.parent).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    }
