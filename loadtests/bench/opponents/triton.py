"""Triton: the bare ``tritonserver`` of the nvidia-pytriton wheel with its python backend.

See ``programs/triton_model.py``. Dynamic batching without a delay, its default, was the fastest
found here (5,000 requests/s at 64 connections; 2,700–4,000 with 500 µs).
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtests.bench.endpoint import Endpoint, answer_tensor, tensors
from loadtests.bench.errors import BenchError
from loadtests.bench.opponents.opponent import ONNXRUNTIME, PROGRAMS, Opponent, Place
from loadtests.bench.programs.session import Session
from serving.layout import PYTORCH

_MODEL = "weight-change"


class Triton(Opponent):
    """The wheel keeps the backend and the stubs for each Python apart; Triton wants one folder."""

    name = "triton"
    requirements = ("nvidia-pytriton==0.7.0", "numpy<2", ONNXRUNTIME)
    ready_path = f"/v2/models/{_MODEL}/ready"
    graph = PYTORCH

    @property
    def _server(self) -> Path:
        return self.environment.packages / "pytriton" / "tritonserver"

    def arguments(self) -> Sequence[str]:
        backends = self.run_dir / "backends"
        models = self.run_dir / "models"
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        stub = self._server / "python_backend_stubs" / version
        if not stub.is_dir():
            raise BenchError(f"this Triton has no python backend for Python {version}")
        shutil.copytree(self._server / "backends", backends, dirs_exist_ok=True)
        shutil.copytree(stub, backends / "python", dirs_exist_ok=True)
        (models / _MODEL / "1").mkdir(parents=True, exist_ok=True)
        shutil.copy(PROGRAMS / "triton_model.py", models / _MODEL / "1" / "model.py")
        (models / _MODEL / "config.pbtxt").write_text(self._config(), encoding="utf-8")
        return [
            str(self._server / "bin" / "tritonserver"),
            f"--model-repository={models}",
            f"--backend-directory={backends}",
            "--http-address=127.0.0.1",
            f"--http-port={self.port}",
            "--allow-grpc=false",
            "--allow-metrics=false",
            "--log-info=false",
        ]

    def variables(self) -> Mapping[str, str]:
        # The stub is linked against libpython and the wheel's own libraries.
        libraries = [
            str(sysconfig.get_config_var("LIBDIR")),
            str(self.environment.packages / "nvidia_pytriton.libs"),
        ]
        return {
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
            "BENCH_PATH": os.pathsep.join([str(PROGRAMS), str(self.environment.packages)]),
        }

    def _config(self) -> str:
        session = Session(str(self.place.graph(PYTORCH)))
        lines = [
            f'name: "{_MODEL}"',
            'backend: "python"',
            "max_batch_size: 64",
            "dynamic_batching { }",
            "instance_group [ { count: 1, kind: KIND_CPU } ]",
            'output [ { name: "weight_change", data_type: TYPE_FP32, dims: [ 1 ] } ]',
        ]
        for name in session.names:
            kind = "TYPE_STRING" if session.is_text(name) else "TYPE_FP32"
            lines.append(f'input [ {{ name: "{name}", data_type: {kind}, dims: [ 1 ] }} ]')
        return "\n".join(lines)


def endpoint(place: Place) -> Endpoint:
    """Open Inference Protocol V2 knows tensors, not objects."""
    note = "Open Inference Protocol V2: an input tensor of shape [1, 1] per feature."
    path = f"/v2/models/{_MODEL}/infer"
    return Endpoint("Triton", Triton(place), path, tensors, answer_tensor, note=note)
