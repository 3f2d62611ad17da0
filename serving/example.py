"""What an example model must provide so that the build can make its folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from gateway.models.manifest import Manifest
from serving.dataset import Dataset, Floats

if TYPE_CHECKING:
    import torch

Tensor = npt.NDArray[np.float32]
#: Called during a training with the part that is done, 0 to 1.
Report = Callable[[float], None]

_EXAMPLES = {"weight-change": "serving.weight_change.example"}


class Example(Protocol):
    """One model: its payload, its data and its two networks.

    Both trainings take the preprocessed features, float32 (n, width), and the target, float64
    (n,); the networks they return answer in the target's unit and are deterministic for a seed.
    """

    @property
    def manifest(self) -> Manifest:
        """The manifest without training ranges."""
        ...

    @property
    def architecture(self) -> str:
        """The networks in words, for the card."""
        ...

    @property
    def source(self) -> str:
        """Where the training rows come from, in words, for the card."""
        ...

    @property
    def net_file(self) -> Path:
        """Python file whose only class is the PyTorch network, made without arguments."""
        ...

    def generate(self, rows: int, seed: int) -> Dataset:
        """Make that many rows; raises ValueError for a number below 1."""
        ...

    def read_csv(self, path: Path) -> Dataset:
        """Read the original rows; raises OSError or ValueError."""
        ...

    def best_prediction(self, data: Dataset) -> Floats:
        """What a perfect model would answer, (n,): its R² is the noise ceiling."""
        ...

    def transformer(self) -> Any:
        """The unfitted scikit-learn transformer from :meth:`Dataset.matrix` to the tensor."""
        ...

    def train_pytorch(
        self, features: Tensor, target: Floats, seed: int, report: Report
    ) -> torch.nn.Module:
        """Train the PyTorch network."""
        ...

    def train_tensorflow(self, features: Tensor, target: Floats, seed: int, report: Report) -> Any:
        """Train the Keras network."""
        ...


def names() -> list[str]:
    """The models that can be built."""
    return list(_EXAMPLES)


def find(name: str) -> Example:
    """The example of that name; raises KeyError where there is none."""
    example: Example = importlib.import_module(_EXAMPLES[name]).EXAMPLE
    return example
