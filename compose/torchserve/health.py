"""The container's health check: exit status 0 while each archive has a worker that is ready.

``/ping`` would not do: it says Healthy before the workers are ready and while they fail to load.
"""

from __future__ import annotations

import json
import sys
import tempfile
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

_TIMEOUT_S = 4
#: Where start.py puts the archives to be served.
_STORE = Path(tempfile.gettempdir(), "torchserve", "store")


def get(path: str) -> Any:
    """What TorchServe's management interface answers; ValueError for an error of its own."""
    connection = HTTPConnection("127.0.0.1", 8081, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise ValueError(f"{path}: {response.status} {body.decode(errors='replace')}")
        return json.loads(body)
    finally:
        connection.close()


def unready() -> list[str]:
    """Names of the models without a ready worker; ``no model`` while no archive is loaded."""
    names = [entry["modelName"] for entry in get("/models?limit=1000")["models"]]
    if names:
        return [name for name in names if not _has_ready_worker(name)]
    return ["no model"] if any(_STORE.glob("*.mar")) else []


def _has_ready_worker(name: str) -> bool:
    (model,) = get(f"/models/{quote(name, safe='')}")
    return any(worker["status"] == "READY" for worker in model["workers"])


if __name__ == "__main__":
    try:
        waiting = unready()
    except (OSError, HTTPException, ValueError, LookupError) as error:
        sys.exit(f"TorchServe does not answer: {error}")
    sys.exit(f"not ready: {', '.join(waiting)}" if waiting else 0)
