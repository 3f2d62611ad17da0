"""Proof that an exported file answers what its original answers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gateway.models.graph import Graph
from gateway.models.rows import Array, Rows
from serving import layout
from serving.differences import largest
from serving.example import Tensor
from serving.export.errors import ParityError as ParityError


def greatest_difference(file: str, answer: Array, original: Array, tolerance: float) -> float:
    """Largest absolute difference of two arrays of one shape.

    Raises:
        ParityError: it is over `tolerance`, an answer is not finite, or the shapes differ.
    """
    if answer.shape != original.shape:
        raise ParityError(f"{file}: answers shape {answer.shape}, its original {original.shape}")
    difference = largest(answer, original) if np.isfinite(answer).all() else math.inf
    if difference > tolerance:
        raise ParityError(f"{file}: differs from its original by {difference:.3g} > {tolerance:g}")
    return difference


def run_graph(path: Path, rows: Rows) -> Array:
    """The single output of a graph for rows of raw features."""
    (answer,) = Graph(path, threads=1).run(rows).values()
    return answer


def run_torch(net: torch.nn.Module, features: Tensor) -> Tensor:
    """The network's eager answer to float32 (n, width)."""
    with torch.inference_mode():
        answer: Tensor = net(torch.from_numpy(features)).numpy()
    return answer


def run_keras(net: Any, features: Tensor) -> Tensor:
    """The network's eager answer to float32 (n, width)."""
    answer: Tensor = net(features, training=False).numpy()
    return answer


def run_saved_model(folder: Path, features: Tensor, target: str) -> Tensor:
    """The answer of a SavedModel's serving signature to float32 (n, width)."""
    import tensorflow as tf

    signature = tf.saved_model.load(str(folder)).signatures[layout.SIGNATURE]
    answer: Tensor = signature(**{layout.TENSOR: tf.constant(features)})[target].numpy()
    return answer
