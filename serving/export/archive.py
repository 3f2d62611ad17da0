"""The TorchServe archive: weights, handler, manifest, preprocessing and the code they need."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import torch

from serving import layout

WEIGHTS = "weights.pth"
#: What the script torch-model-archiver does, by this interpreter.
_ARCHIVER = "from model_archiver.model_packaging import generate_model_archive as go; go()"
#: By number: in a notebook, sys.stderr may be no file.
_STDERR = 2
#: What the handler imports: package and files within it.
_PACKED = (
    ("gateway", "__init__.py"),
    ("gateway", "errors.py"),
    ("gateway", "models/*.py"),
    ("handlers", "__init__.py"),
    ("handlers", "limits.py"),
    ("handlers", "request_body.py"),
)


def make_archive(
    name: str,
    net: torch.nn.Module,
    net_file: Path,
    manifest: Path,
    preprocess: Path,
    target: Path,
    version: str = layout.VERSION,
) -> None:
    """Write `target`, a MAR of that version, by torch-model-archiver.

    Beside weights, network, handler, manifest and preprocessing graph it holds the part of the
    ``gateway`` package that validates and preprocesses, so that the handler does with a payload
    exactly what the gateway does, whatever is installed beside TorchServe.

    Raises:
        subprocess.CalledProcessError: the archiver refused; its words are on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        beside = scratch / "beside"
        for package, pattern in _PACKED:
            for source in _package(package).glob(pattern):
                copy = beside / package / source.relative_to(_package(package))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)
        shutil.copy(manifest, beside / "model.yaml")
        shutil.copy(preprocess, beside / layout.PREPROCESS)
        torch.save(net.state_dict(), scratch / WEIGHTS)
        command = [sys.executable, "-c", _ARCHIVER, "--force"]
        command += ["--model-name", name, "--version", version]
        command += ["--model-file", str(net_file), "--serialized-file", str(scratch / WEIGHTS)]
        command += ["--handler", str(_package("handlers") / "handler.py")]
        command += ["--extra-files", str(beside)]
        command += ["--export-path", str(scratch)]
        # The archiver assembles the content in a folder of the temporary directory that is named
        # after the model and removed first; two builds must not share it.
        assembly = scratch / "assembly"
        assembly.mkdir()
        environment = {**os.environ, "TMPDIR": str(assembly)}
        subprocess.run(command, check=True, env=environment, stdout=_STDERR)
        shutil.copy(scratch / layout.archive_name(name), target)


def load_net(path: Path, like: torch.nn.Module) -> torch.nn.Module:
    """A network of the class of `like` with the weights of an archive, in evaluation mode."""
    with zipfile.ZipFile(path) as archive:
        packed = json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]["serializedFile"]
        weights = torch.load(io.BytesIO(archive.read(packed)), weights_only=True)
    net = type(like)()
    net.load_state_dict(weights)
    return net.eval()


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is not beside serving", name=name)
    return Path(spec.submodule_search_locations[0])
