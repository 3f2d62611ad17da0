"""Weights through files of the work folder: what is read is the network that was written."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import torch

from serving.export.keras_files import keras_to_onnx
from serving.stages.work import Work
from serving.weight_change.example import EXAMPLE
from serving.weight_change.transformer import WIDTH

FEATURES = np.random.default_rng(1).random((50, WIDTH), dtype=np.float32)


def test_pytorch_weights_are_read_back(tmp_path: Path) -> None:
    work = Work(tmp_path, EXAMPLE)
    net = EXAMPLE.pytorch_net()
    work.weights("pytorch").parent.mkdir()
    torch.save(net.state_dict(), work.weights("pytorch"))
    read = work.pytorch_net()
    assert not read.training
    assert torch.equal(read(torch.from_numpy(FEATURES)), net(torch.from_numpy(FEATURES)))


def test_tensorflow_weights_are_read_back_and_each_reading_gives_the_same_graph(
    tmp_path: Path,
) -> None:
    work = Work(tmp_path, EXAMPLE)
    keras.utils.set_random_seed(1)
    net = EXAMPLE.tensorflow_net()
    work.weights("tensorflow").parent.mkdir()
    np.savez(work.weights("tensorflow"), *net.get_weights())
    expected = np.asarray(net(FEATURES))
    graphs = []
    for _ in range(2):
        read = work.tensorflow_net()
        np.testing.assert_array_equal(np.asarray(read(FEATURES)), expected)
        graphs.append(keras_to_onnx(read, "features", "weight_change").SerializeToString())
    assert graphs[0] == graphs[1]
