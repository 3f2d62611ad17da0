"""Stages ``train-pytorch`` and ``train-tensorflow``: from rows to weights."""

from __future__ import annotations

import numpy as np

from serving.example import Report
from serving.stages.work import TRAINING, Work, emptied


def train_pytorch(work: Work, epochs: int, seed: int, report: Report) -> None:
    """Train the PyTorch network and keep its weights; raises OSError without the rows."""
    import torch

    training = work.rows(TRAINING)
    _, features = work.fitted(training)
    net = work.example.train_pytorch(features, training.target, seed, report, epochs)
    target = work.weights("pytorch")
    emptied(target.parent)
    torch.save(net.state_dict(), target)
    work.write_note("pytorch", seed=seed, epochs=epochs)


def train_tensorflow(work: Work, epochs: int, seed: int, report: Report) -> None:
    """Train the Keras network and keep its weights; raises OSError without the rows."""
    training = work.rows(TRAINING)
    _, features = work.fitted(training)
    net = work.example.train_tensorflow(features, training.target, seed, report, epochs)
    target = work.weights("tensorflow")
    emptied(target.parent)
    # Not Keras's own format: that holds the time, and the same network would be another file.
    np.savez(target, *net.get_weights())
    work.write_note("tensorflow", seed=seed, epochs=epochs)
