"""One network in the form of every engine, with the same weights: the example's, in any size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch

from serving import layout
from serving.dataset import Floats
from serving.example import Tensor
from serving.export.keras_files import keras_to_saved_model
from serving.export.onnx_file import save
from serving.export.torch_onnx import torch_to_onnx

OUTPUT = "answer"
#: Weights (inputs, outputs) and biases (outputs,) of a layer, float32.
Layer = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Network:
    """A tanh network with a linear output: float32 (n, ``inputs``) to float32 (n, 1).

    ``graph`` is its ONNX file, ``saved_model`` its SavedModel; both, like ``torch``, hold
    ``layers``.
    """

    inputs: int
    layers: list[Layer]
    torch: torch.nn.Module
    graph: Path
    saved_model: Path

    def answer(self, features: Tensor) -> Floats:
        """The network computed by numpy in float64, (n, 1): what every engine is held against."""
        values = np.asarray(features, np.float64)
        for index, (weights, biases) in enumerate(self.layers):
            values = values @ weights.astype(np.float64) + biases
            if index < len(self.layers) - 1:
                values = np.tanh(values)
        return values


def make_network(inputs: int, seed: int, folder: Path) -> Network:
    """Draw weights and write the network's files below the empty ``folder``.

    The hidden layers have 15/17 and 7/17 of the inputs' width, as in the example's 17-15-7-1.
    """
    widths = [inputs, max(1, round(inputs * 15 / 17)), max(1, round(inputs * 7 / 17)), 1]
    draw = np.random.default_rng(seed)
    layers = [
        (
            (draw.normal(size=(many, few)) / np.sqrt(many)).astype(np.float32),
            draw.normal(scale=0.1, size=few).astype(np.float32),
        )
        for many, few in pairwise(widths)
    ]
    net = _torch_net(layers)
    graph, saved_model = folder / "net.onnx", folder / "saved_model"
    with _quiet_exports():
        save(torch_to_onnx(net, inputs, layout.TENSOR, OUTPUT), graph)
        keras_to_saved_model(_keras_net(layers), saved_model, layout.TENSOR, OUTPUT)
    return Network(inputs, layers, net, graph, saved_model)


def _torch_net(layers: list[Layer]) -> torch.nn.Module:
    parts: list[torch.nn.Module] = []
    for weights, biases in layers:
        linear = torch.nn.Linear(*weights.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weights.T.copy()))
            linear.bias.copy_(torch.from_numpy(biases))
        parts += [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*parts[:-1]).eval()


def _keras_net(layers: list[Layer]) -> Any:
    features = keras.Input((layers[0][0].shape[0],))
    values = features
    for index, (_, biases) in enumerate(layers):
        activation = "tanh" if index < len(layers) - 1 else None
        values = keras.layers.Dense(len(biases), activation=activation)(values)
    net = keras.Model(features, values)
    net.set_weights([array for layer in layers for array in layer])
    return net


@contextmanager
def _quiet_exports() -> Iterator[None]:
    """Keep the exporters' warnings about their own insides from the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
