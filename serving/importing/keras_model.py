"""A Keras model, or a SavedModel of any origin."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import onnx
import tensorflow as tf

from gateway.models.manifest import TensorType
from gateway.models.rows import Array
from serving import layout
from serving.export.keras_files import Answer, to_onnx, to_saved_model
from serving.export.onnx_file import save
from serving.importing.errors import ImportRefused, refusing, words
from serving.importing.objects import find_module
from serving.importing.original import Candidate, Companion, Feeds, Original, named
from serving.importing.parity import difference
from serving.importing.spec import Spec

LINEAGE = "tensorflow"
_PACKAGES = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "numpy")


@dataclass
class TensorFlowModel(Original):
    """A function of named tensors; `net` is the Keras model behind it, None for a SavedModel.

    `folder` is the SavedModel, None for a Keras model, and `signature` the one that is served.
    """

    function: Answer
    net: Any
    folder: Path | None
    signature: str
    wanted: tuple[str, ...]

    @classmethod
    def keras(
        cls,
        path: Path,
        module: str | None,
        given: tuple[Spec, ...],
        wanted: tuple[str, ...],
        trust: bool,
    ) -> Self:
        """Load a ``.keras`` or ``.h5`` file; raises ImportRefused.

        `module` is imported first: it registers custom layers. Python code inside the file, a
        Lambda layer, is run only with `trust`.
        """
        import keras

        if module is not None:
            find_module(module)
        try:
            net = keras.models.load_model(path, compile=False, safe_mode=not trust)
        except Exception as error:
            raise ImportRefused(f"{path.name} cannot be loaded: {_why(error)}") from error
        inputs = given or _inputs(net)
        several = getattr(net, "output_names", None) or ()
        wanted = wanted or (tuple(several) if len(several) > 1 else ())
        packing = getattr(net, "_inputs_struct", None)

        def function(*tensors: Any) -> Any:
            if isinstance(packing, dict):
                by_name = dict(zip((s.name for s in inputs), tensors, strict=True))
                return net({key: by_name[t.name] for key, t in packing.items()}, training=False)
            return net(tensors[0] if len(tensors) == 1 else list(tensors), training=False)

        kind = f"Keras {type(net).__name__} {net.name}"
        files = (path,)
        return cls(
            kind, LINEAGE, inputs, files, _PACKAGES, function, net, None, layout.SIGNATURE, wanted
        )

    @classmethod
    def saved_model(cls, folder: Path, signature: str, wanted: tuple[str, ...]) -> Self:
        """Load one signature of a SavedModel; raises ImportRefused."""
        with refusing(f"{folder.name} cannot be loaded"):
            loaded = tf.saved_model.load(str(folder))
        if signature not in loaded.signatures:
            there = ", ".join(loaded.signatures) or "none"
            raise ImportRefused(f"--signature {signature}: {folder.name} has {there}")
        served = loaded.signatures[signature]
        specs = served.structured_input_signature[1]
        if not specs:
            raise ImportRefused(f"--signature {signature}: it takes nothing")
        for name, spec in specs.items():
            if not isinstance(spec, tf.TensorSpec):
                raise ImportRefused(f"input {name} is a {type(spec).__name__}, no plain tensor")
        inputs = tuple(_spec(name, spec.shape, spec.dtype.name) for name, spec in specs.items())

        def function(*tensors: Any) -> Any:
            values = served(**dict(zip(specs, tensors, strict=True)))
            # The file keeps the outputs in no order, and each load has another.
            return {name: values[name] for name in sorted(values)}

        function.keep = loaded  # type: ignore[attr-defined]  # the variables live with it
        files = tuple(sorted(file for file in folder.rglob("*") if file.is_file()))
        return cls(
            f"SavedModel, signature {signature}", LINEAGE, inputs, files, _PACKAGES, function, None,
            folder, signature, wanted,
        )  # fmt: skip

    def answer(self, feeds: Feeds) -> dict[str, Array]:
        tensors = [_tensor(spec, feeds[spec.name]) for spec in self.inputs]
        try:
            values = self.function(*tensors)
        except Exception as error:
            taken = ", ".join(spec.text for spec in self.inputs)
            raise ImportRefused(f"the model cannot run on {taken}: {words(error)}") from error
        count = len(feeds[self.inputs[0].name])
        return named(values, self.wanted, lambda tensor: tensor.numpy(), count)

    def candidates(self, feeds: Feeds) -> Iterator[Candidate]:
        logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
        with refusing(
            f"{self.kind} cannot be converted to ONNX",
            "ONNX has no such thing as text lookups or Python functions: do that before the model",
        ):
            model = to_onnx(self._by_name(feeds), self._specification())
        strange = sorted({n.op_type for n in model.graph.node if not _known(n)})
        if strange:
            raise ImportRefused(
                f"{self.kind} cannot be converted to ONNX: there is no such operation as"
                f" {', '.join(strange)}; do that part before the model, or give it by --preprocess"
            )
        yield Candidate(model)

    def companions(
        self,
        manifest: Path,
        version: Path,
        front: onnx.ModelProto | None,
        feeds: Feeds,
        tolerance: float,
    ) -> list[Companion]:
        folder = version / layout.SAVED_MODEL
        answers = self.answer(feeds)
        if self.folder is not None:
            shutil.copytree(self.folder, folder)
            theirs = list(self.function(*[_tensor(s, feeds[s.name]) for s in self.inputs]))
            renamed = dict(zip(answers, theirs, strict=True))
        else:
            to_saved_model(self.net, folder, self._by_name(feeds), self._specification())
            renamed = {name: name for name in answers}
        options: dict[str, Any] = {"model": manifest.parent.name, "signature": self.signature}
        if front is not None:
            save(front, version / layout.PREPROCESS)
            options |= {"input": self.inputs[0].name, "preprocess": layout.PREPROCESS}
        if any(ours != name for ours, name in renamed.items()):
            options["outputs"] = renamed
        found = TensorFlowModel.saved_model(folder, self.signature, ()).answer(feeds)
        apart = max(
            difference(ours, found[name], answers[ours], tolerance)
            for ours, name in renamed.items()
        )
        return [Companion("tfserving", options, layout.SAVED_MODEL, apart)]

    def _by_name(self, feeds: Feeds) -> Answer:
        names = list(self.answer(feeds))

        def answer(*tensors: Any) -> dict[str, Any]:
            values = self.function(*tensors)
            if isinstance(values, dict):
                parts = list(values.values())
            else:
                parts = list(values) if isinstance(values, list | tuple) else [values]
            return dict(zip(names, parts, strict=True))

        return answer

    def _specification(self) -> list[Any]:
        return [
            tf.TensorSpec((None, *spec.shape), getattr(tf, spec.dtype), name=spec.name)
            for spec in self.inputs
        ]


def _inputs(net: Any) -> tuple[Spec, ...]:
    tensors = getattr(net, "inputs", None)
    if not tensors:
        raise ImportRefused(
            f"{type(net).__name__} does not say what it takes: say so by --input name:dtype:shape"
        )
    return tuple(_spec(tensor.name, tensor.shape, tensor.dtype) for tensor in tensors)


def _spec(name: str, shape: Any, dtype: Any) -> Spec:
    if getattr(shape, "rank", 0) is None:
        raise ImportRefused(f"input {name} takes tensors of any rank; give it a shape")
    sizes = list(shape)
    if not sizes or sizes[0] is not None:
        raise ImportRefused(f"input {name} has shape {tuple(sizes)}: its first must be the batch")
    element: Any = str(dtype)
    if element not in get_args(TensorType):
        raise ImportRefused(
            f"input {name} takes {element}, which the gateway has no such type for; cast it inside"
            f" the model from one of {', '.join(get_args(TensorType))}"
        )
    return Spec(name, element, tuple(sizes[1:]))


def _tensor(spec: Spec, array: Array) -> Any:
    sizes: Any = array.shape if array.ndim == len(spec.shape) + 1 else (-1, *spec.shape)
    flat = array.astype(str) if spec.dtype == "string" else array.astype(np.dtype(spec.dtype))
    return tf.constant(flat.reshape(sizes))


def _known(node: onnx.NodeProto) -> bool:
    return node.domain not in ("", "ai.onnx") or onnx.defs.has(node.op_type)


def _why(error: Exception) -> str:
    """Keras' reasons in one line, with what can be done."""
    text = str(error)
    if "Lambda" in text or "safe_mode" in text or "unsafe" in text.lower():
        return "it holds Python code, a Lambda layer; use a layer of Keras, or say --trust"
    if "Could not locate" in text or "Unknown layer" in text or "register_keras" in text:
        return (
            "it has a custom layer that is not known here; register the layer with"
            " keras.saving.register_keras_serializable and name its module by --module"
        )
    return words(error)
