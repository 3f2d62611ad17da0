"""The engines: each takes a network in its own form, and answers numpy arrays with numpy arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import onnxruntime as ort
import tensorflow as tf
import torch
from torch._dynamo.utils import counters

from serving import layout
from serving.example import Tensor
from serving.experiments.errors import ExperimentError, NotMeasured
from serving.experiments.nets import OUTPUT, Network

Answer = Callable[[], Tensor]


class Engine(Protocol):
    """What can run a network."""

    name: str

    def prepare(self) -> None:
        """Do what is needed once per machine, not per network; raises :class:`NotMeasured`."""
        ...

    def load(self, net: Network) -> None:
        """Take the network; what was loaded before is forgotten."""
        ...

    def call(self, features: Tensor) -> Answer:
        """A call that runs the network on float32 (n, inputs) and answers float32 (n, 1).

        Raises:
            NotMeasured: the engine cannot; the message says why.
        """
        ...


class OnnxRuntime:
    """An ONNX Runtime session with its default optimizations."""

    name = "ONNX Runtime"

    def __init__(self, threads: int) -> None:
        self._options = ort.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self._options.log_severity_level = 3

    def prepare(self) -> None:
        """Nothing."""

    def load(self, net: Network) -> None:
        self._session = ort.InferenceSession(
            str(net.graph), self._options, providers=["CPUExecutionProvider"]
        )

    def call(self, features: Tensor) -> Answer:
        session, feeds, wanted = self._session, {layout.TENSOR: features}, [OUTPUT]

        def answer() -> Tensor:
            result: Tensor = session.run(wanted, feeds)[0]
            return result

        return answer


class TorchEager:
    """PyTorch as the network was written, in inference mode."""

    name = "PyTorch, eager"

    def prepare(self) -> None:
        """Nothing."""

    def load(self, net: Network) -> None:
        self._net = net.torch

    def call(self, features: Tensor) -> Answer:
        return _torch_call(self._net, features)


class TorchCompiled:
    """PyTorch's compiler, anew for each batch size: the shape is a constant, its best case."""

    name = "PyTorch, compiled"

    def prepare(self) -> None:
        """Compile something trivial: headers and the processor's abilities are looked up once."""
        _compiled(torch.nn.Tanh(), torch.zeros(2, 2).numpy())

    def load(self, net: Network) -> None:
        self._net = net.torch

    def call(self, features: Tensor) -> Answer:
        return _compiled(self._net, features)


class TensorFlow:
    """A SavedModel's serving signature called from Python: the library, not TensorFlow Serving."""

    name = "TensorFlow"

    def prepare(self) -> None:
        """Nothing."""

    def load(self, net: Network) -> None:
        self._model = tf.saved_model.load(str(net.saved_model))

    def call(self, features: Tensor) -> Answer:
        signature: Any = self._model.signatures[layout.SIGNATURE]

        def answer() -> Tensor:
            result: Tensor = signature(**{layout.TENSOR: tf.constant(features)})[OUTPUT].numpy()
            return result

        return answer


def make_engines(threads: int) -> list[Engine]:
    """All engines, ONNX Runtime first, each held to that many threads.

    Raises:
        ExperimentError: TensorFlow already runs in this process with another number.
    """
    torch.set_num_threads(threads)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise ExperimentError(
            "TensorFlow already runs in this process with another number of threads"
        ) from error
    return [OnnxRuntime(threads), TorchEager(), TorchCompiled(), TensorFlow()]


def _torch_call(net: Callable[[torch.Tensor], torch.Tensor], features: Tensor) -> Answer:
    def answer() -> Tensor:
        with torch.inference_mode():
            result: Tensor = net(torch.from_numpy(features)).numpy()
        return result

    return answer


def _compiled(net: torch.nn.Module, features: Tensor) -> Answer:
    """A compiled call, tried out; raises :class:`NotMeasured` where it would run uncompiled."""
    # What was compiled for other shapes is forgotten: beyond a few, PyTorch gives up recompiling
    # and runs the network as it is.
    torch.compiler.reset()
    counters.clear()
    try:
        answer = _torch_call(torch.compile(net, fullgraph=True), features)
        answer()
    except Exception as error:  # the compiler's exceptions share no base of their own
        raise NotMeasured(f"torch.compile failed: {_reason(error)}") from error
    if not counters["stats"]["unique_graphs"] or not counters["inductor"]:
        raise NotMeasured("torch.compile compiled nothing: it is switched off in this environment")
    return answer


def _reason(error: Exception) -> str:
    """The first line that says something, without paths of this machine."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return " ".join(os.path.basename(word) if os.sep in word else word for word in first.split())
