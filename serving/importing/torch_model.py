"""A PyTorch network."""

from __future__ import annotations

import ast
import inspect
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import torch

from gateway.models.rows import Array
from serving import layout
from serving.export.onnx_file import BATCH, save
from serving.export.torch_onnx import export
from serving.importing.errors import ImportRefused, words
from serving.importing.front import identity_graph
from serving.importing.original import Candidate, Companion, Feeds, Original, named
from serving.importing.parity import difference
from serving.importing.sample import Sample
from serving.importing.spec import Spec

LINEAGE = "pytorch"


@dataclass
class TorchModel(Original):
    """A network in evaluation mode; `wanted` are names for its outputs, `mapping` says that it
    answers a mapping."""

    net: torch.nn.Module
    wanted: tuple[str, ...]
    mapping: bool = False

    @classmethod
    def of(
        cls,
        net: torch.nn.Module,
        files: tuple[Path, ...],
        inputs: tuple[Spec, ...],
        wanted: tuple[str, ...],
        kind: str = "PyTorch network",
    ) -> Self:
        """Describe a network whose inputs are known; see :func:`torch_inputs`."""
        packages = ("torch", "onnxscript", "onnx", "onnxruntime", "numpy")
        kind = f"{kind} {type(net).__name__}"
        return cls(kind, LINEAGE, inputs, files, packages, net, wanted)

    def answer(self, feeds: Feeds) -> dict[str, Array]:
        tensors = [self._tensor(spec, feeds[spec.name]) for spec in self.inputs]
        try:
            with torch.inference_mode():
                values = self.net(*tensors)
        except Exception as error:
            taken = ", ".join(spec.text for spec in self.inputs)
            raise ImportRefused(
                f"the network cannot run on {taken}: {words(error)}; say what it takes by --input"
            ) from error
        self.mapping = isinstance(values, Mapping)
        return named(values, self.wanted, lambda t: t.numpy(), len(tensors[0]))

    def candidates(self, feeds: Feeds) -> Iterator[Candidate]:
        names = list(self.answer(feeds))
        examples, dynamic = {}, []
        for spec in self.inputs:
            # Two rows: an example batch of one would be taken for a constant.
            examples[spec.name] = self._tensor(
                spec, np.resize(feeds[spec.name], (2, *feeds[spec.name].shape[1:]))
            )
            varying = {n + 1: f"{spec.name}_{n + 1}" for n, s in enumerate(spec.shape) if s is None}
            dynamic.append({0: BATCH} | varying)
        yield Candidate(_exported(self.net, examples, names, dynamic))

    def companions(
        self,
        manifest: Path,
        version: Path,
        front: onnx.ModelProto | None,
        feeds: Feeds,
        tolerance: float,
    ) -> list[Companion]:
        from serving.export import archive

        file = _packable(self.net)
        if len(self.inputs) > 1:
            file = "its handler takes one preprocessed tensor"
        if self.mapping:
            file = "its handler takes a tensor or a tuple of tensors for an answer"
        if isinstance(file, str):
            self.notes.append(f"no TorchServe archive: {file}")
            return []
        save(front or identity_graph(self.inputs[0]), version / layout.PREPROCESS)
        name = manifest.parent.name
        mar = version / layout.archive_name(name)
        archive.make_archive(
            name, self.net, file, manifest, version / layout.PREPROCESS, mar, version.name
        )
        packed = TorchModel.of(archive.load_net(mar, self.net), (), self.inputs, self.wanted)
        here, there = self.answer(feeds), packed.answer(feeds)
        apart = max(difference(name, there[name], here[name], tolerance) for name in here)
        return [Companion("torchserve", {"model": name}, mar.name, apart)]

    def _tensor(self, spec: Spec, array: Array) -> torch.Tensor:
        if spec.dtype == "string":
            raise ImportRefused(f"{spec.name} holds text: a network takes numbers")
        sizes: Any = array.shape if array.ndim == len(spec.shape) + 1 else (-1, *spec.shape)
        return torch.from_numpy(np.ascontiguousarray(array.astype(spec.dtype).reshape(sizes)))


def torch_inputs(
    net: torch.nn.Module, given: tuple[Spec, ...], sample: Sample | None, targets: tuple[str, ...]
) -> tuple[Spec, ...]:
    """What a network takes, as said by ``--input``, else as the sample has it.

    An .npz names the inputs; a CSV makes one flat tensor of all its columns. Raises ImportRefused
    where there is neither.
    """
    if given:
        return given
    parameters = [
        p.name
        for p in inspect.signature(net.forward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if sample is None:
        raise ImportRefused(
            f"{type(net).__name__}.forward takes {', '.join(parameters)}; say of which dtype and"
            " shape by --input name:dtype:shape, or give rows by --sample"
        )
    columns = {name: column for name, column in sample.columns.items() if name not in targets}
    arrays = {name: c for name, c in columns.items() if isinstance(c, np.ndarray)}
    if not arrays:
        return (Spec(parameters[0] if parameters else "x", "float32", (len(columns),)),)
    if set(arrays) <= set(parameters):
        arrays = {name: arrays[name] for name in parameters if name in arrays}
    specs = []
    for name, array in arrays.items():
        dtype: Any = "float32" if array.dtype == np.float64 else array.dtype.name
        specs.append(Spec(name, dtype, array.shape[1:]))
    return tuple(specs)


def _exported(
    net: torch.nn.Module, examples: Any, names: list[str], dynamic: Any
) -> onnx.ModelProto:
    # It logs and prints the graph where it fails, page by page.
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            return export(net, examples, names, dynamic)
    except Exception as error:
        raise ImportRefused(f"{type(net).__name__} cannot be exported: {_cause(error)}") from error
    finally:
        logging.disable(logging.NOTSET)


def _cause(error: BaseException) -> str:
    """What stops the exporter, and what can be done, from its chain of errors."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    text = "\n".join(str(link) for link in chain)
    if any("DataDependent" in type(link).__name__ for link in chain) or "data-dependent" in text:
        return (
            f"what it does depends on the values it gets{_where(chain[-1])}; use torch.where or"
            " torch.cond instead of if, and sizes that do not depend on data"
        )
    if re.search(r"inferred a static shape|Constraints violated|not in VR\[", text):
        return "it works for one batch size only; do not write the number of rows into shapes"
    missing = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", text)
    if missing:
        return f"the operation {missing[1]} does not exist in ONNX; replace it in the network"
    return words(chain[-1])


def _where(error: BaseException) -> str:
    """The user's own line in which it happened, in brackets."""
    library = str(Path(torch.__file__).parent)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/" in f.filename]
    own = [f for f in frames if not f.filename.startswith(library) and f.name == "forward"]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line})" if own else ""


def _packable(net: torch.nn.Module) -> Path | str:
    """The file whose only class is the network, made without arguments; else why there is none.

    The handler inside TorchServe gets this file and the weights, nothing else.
    """
    kind = type(net)
    try:
        file = Path(inspect.getfile(kind))
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (TypeError, OSError, SyntaxError):
        return f"the file of {kind.__name__} cannot be found"
    nets = [
        member
        for _, member in inspect.getmembers(sys.modules[kind.__module__], inspect.isclass)
        if issubclass(member, torch.nn.Module) and member.__module__ == kind.__module__
    ]
    if nets != [kind]:
        return f"{file.name} defines {len(nets)} networks; it may define one"
    foreign = sorted(set(_imported(tree)) - sys.stdlib_module_names - {"torch", "numpy"})
    if foreign:
        return f"{file.name} imports {', '.join(foreign)}, which is not packed"
    try:
        kind().load_state_dict(net.state_dict())
    except Exception as error:
        return f"{kind.__name__}() cannot be made without arguments: {words(error)}"
    return file


def _imported(tree: ast.Module) -> Iterator[str]:
    """The top-level names of the modules that code imports; "." for those beside it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else (node.module or "").partition(".")[0]
