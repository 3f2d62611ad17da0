"""What an example model must provide so that the build can make its folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from rich.table import Table

from gateway.models.manifest import Manifest
from serving.dataset import Dataset, Floats

if TYPE_CHECKING:
    import torch

Tensor = npt.NDArray[np.float32]
#: Called during a training with the part that is done, 0 to 1.
Report = Callable[[float], None]
Step = Callable[[Report], None]

_EXAMPLES = {
    "weight-change": "serving.weight_change.example",
    "digit-three": "serving.digit_three.example",
}
_SERVING = Path(__file__).parent
#: The repository that is served by default holds only the first model.
_REPOSITORIES = {"weight-change": _SERVING / "repository"}


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
    def epochs(self) -> int:
        """Passes over the rows in a training, unless it is told otherwise."""
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

    def pytorch_net(self) -> torch.nn.Module:
        """An untrained PyTorch network, to be given weights."""
        ...

    def tensorflow_net(self) -> Any:
        """An untrained Keras network, to be given weights."""
        ...

    def train_pytorch(
        self, features: Tensor, target: Floats, seed: int, report: Report, epochs: int
    ) -> torch.nn.Module:
        """Train the PyTorch network."""
        ...

    def train_tensorflow(
        self, features: Tensor, target: Floats, seed: int, report: Report, epochs: int
    ) -> Any:
        """Train the Keras network."""
        ...


class GoalMissed(Exception):
    """A trained network does worse than its build demands; says how well, and nothing is made."""


class Steps(Protocol):
    """A build: each step's title, share of the time and call; ``card`` is there at the end."""

    steps: list[tuple[str, float, Step]]
    card: dict[str, Any]


@runtime_checkable
class Recipe(Protocol):
    """An example that brings a build of its own, because its payload or its networks are others."""

    def build(self, folder: Path, seed: int) -> Steps:
        """The build of ``model.yaml`` and the version's folder into the empty `folder`."""
        ...

    def summary(self, card: dict[str, Any]) -> list[Table]:
        """What came of it, for a terminal."""
        ...


def repository(name: str) -> Path:
    """The model repository of this project that holds the model."""
    return _REPOSITORIES.get(name, _SERVING / "examples")


def names() -> list[str]:
    """The models that can be built."""
    return list(_EXAMPLES)


def find(name: str) -> Example | Recipe:
    """The example of that name; raises KeyError where there is none."""
    example: Example | Recipe = importlib.import_module(_EXAMPLES[name]).EXAMPLE
    return example
