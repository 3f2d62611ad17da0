"""Environment of the Python servers started here."""

from __future__ import annotations

import os
from pathlib import Path

#: Root of the source tree, or of site-packages: where ``gateway`` and ``serving`` are found.
_ROOT = Path(__file__).parents[2]


def python_path() -> dict[str, str]:
    """``PYTHONPATH`` with which ``python -m`` finds these packages from any folder."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
