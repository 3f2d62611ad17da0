"""FastAPI, uvicorn and ONNX Runtime the usual way; see ``programs/fastapi_app.py``."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.bench.endpoint import Endpoint, answer_object, one_object
from loadtests.bench.opponents.opponent import ONNXRUNTIME, Opponent, Place
from serving.layout import PYTORCH


class FastAPI(Opponent):
    """``uvicorn[standard]`` brings uvloop and httptools."""

    name = "fastapi"
    requirements = ("fastapi==0.165.0", "uvicorn[standard]==0.54.0", ONNXRUNTIME)
    ready_path = "/openapi.json"
    graph = PYTORCH

    def arguments(self) -> Sequence[str]:
        options = ["--host=127.0.0.1", f"--port={self.port}", "--workers=1"]
        quiet = ["--no-access-log", "--log-level=warning"]
        return [str(self.python), "-m", "uvicorn", "fastapi_app:app", *options, *quiet]


def endpoints(place: Place) -> list[Endpoint]:
    """The same handler as a coroutine and as a plain function; the faster one counts."""
    server = FastAPI(place)
    kinds = {"async def": "/predict", "def": "/predict/thread"}
    return [
        Endpoint(f"FastAPI + ONNX Runtime ({kind})", server, path, one_object, answer_object)
        for kind, path in kinds.items()
    ]


def list_endpoint(place: Place) -> Endpoint:
    """A list of rows in one body."""
    title = "FastAPI + ONNX Runtime (list body)"
    note = "The body is the bare list of rows."
    return Endpoint(title, FastAPI(place), "/predict/rows", list, answer_object, note=note)
