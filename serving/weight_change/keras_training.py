"""The Keras network, 17-15-7-1, and its training; independent of the PyTorch one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from serving import layout
from serving.dataset import Floats
from serving.example import Report, Tensor
from serving.weight_change.definition import EPOCHS, TARGET
from serving.weight_change.transformer import WIDTH

BATCH = 256
LEARNING_RATE = 1e-2


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, report: Report, epochs: int) -> None:
        super().__init__()
        self._report = report
        self._epochs = epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._report((epoch + 1) / self._epochs)


def make_net() -> Any:
    """The untrained network: float32 (n, 17) to float32 (n, 1), tanh with a linear output."""
    features = keras.Input((WIDTH,), name=layout.TENSOR)
    hidden = keras.layers.Dense(15, activation="tanh")(features)
    hidden = keras.layers.Dense(7, activation="tanh")(hidden)
    return keras.Model(features, keras.layers.Dense(1, name=TARGET.name)(hidden))


def train(features: Tensor, target: Floats, seed: int, report: Report, epochs: int = EPOCHS) -> Any:
    """Fit the network to float32 (n, 17) and float64 (n,) lb with Adam and a cosine schedule.

    It learns the standardized target; mean and deviation are folded into its last layer after, so
    that it answers in lb. With TensorFlow held to one thread, as the build does, the same seed
    gives the same network.
    """
    keras.utils.set_random_seed(seed)
    mean, deviation = float(target.mean()), float(target.std())
    wanted = ((target - mean) / deviation).astype(np.float32)[:, np.newaxis]
    net = make_net()
    steps = epochs * -(-len(features) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    net.compile(keras.optimizers.Adam(schedule), loss="mse")
    progress = _Progress(report, epochs)
    net.fit(features, wanted, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[progress])
    last = net.layers[-1]
    weight, bias = last.get_weights()
    last.set_weights([weight * deviation, bias * deviation + mean])
    return net
