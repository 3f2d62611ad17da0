"""The work folder: what the stages of a build hand to each other, and where."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.models.manifest import MANIFEST_NAME, Manifest
from serving import layout
from serving.dataset import Dataset
from serving.example import Example, Tensor

if TYPE_CHECKING:
    import torch

#: Sets of rows, by the names of their files.
TRAINING, HELD_OUT, PARITY, ORIGINAL = "training", "held_out", "parity", "original"
_WEIGHTS = {"pytorch": "weights.pth", "tensorflow": "weights.npz"}
#: How a stage was run; it goes into the card.
_NOTE = "made.json"


class Work:
    """One build of an example, one folder per stage.

    ========================  =====================================================================
    ``data/``                 rows as CSV, ``model.yaml``
    ``pytorch/``              weights of the PyTorch network
    ``tensorflow/``           weights of the TensorFlow network
    ``export/``               the graphs and the SavedModel
    ``archive/``              the TorchServe archive
    ``repository/NAME/``      the finished model folder: all of the above that is served, the card
    ``metrics.json``          the card's scores
    ========================  =====================================================================
    """

    def __init__(self, folder: Path, example: Example) -> None:
        self.example = example
        self.data = folder / "data"
        self.export = folder / "export"
        self.archive = folder / "archive" / layout.archive_name(example.manifest.name)
        self.repository = folder / "repository"
        self.model = self.repository / example.manifest.name
        self.version = self.model / layout.VERSION
        self.metrics = folder / "metrics.json"
        self._folder = folder

    def weights(self, network: str) -> Path:
        """The file of a network's weights, ``pytorch`` or ``tensorflow``."""
        return self._folder / network / _WEIGHTS[network]

    @property
    def manifest_file(self) -> Path:
        """``model.yaml``, with the ranges of the training rows."""
        return self.data / MANIFEST_NAME

    def manifest(self) -> Manifest:
        """The manifest that :attr:`manifest_file` holds."""
        return Manifest.load(self.data)

    def rows_file(self, name: str) -> Path:
        """The CSV of a set of rows."""
        return self.data / f"{name}.csv"

    def rows(self, name: str) -> Dataset:
        """A set of rows; raises OSError where the stage ``data`` has not run."""
        return self.example.read_csv(self.rows_file(name))

    def fitted(self, training: Dataset) -> tuple[Any, Tensor]:
        """The transformer fitted to the training rows, and those rows as float32 (n, width).

        Fitted where it is needed and never stored: it would have to be a pickle.
        """
        transformer = self.example.transformer()
        features: Tensor = transformer.fit_transform(training.matrix()).astype(np.float32)
        return transformer, features

    def pytorch_net(self) -> torch.nn.Module:
        """The trained PyTorch network, in evaluation mode."""
        import torch

        net = self.example.pytorch_net()
        net.load_state_dict(torch.load(self.weights("pytorch"), weights_only=True))
        return net.eval()

    def tensorflow_net(self) -> Any:
        """The trained Keras network; others made before lose their names' numbers."""
        import keras

        # Keras numbers layers through the life of the process, and the numbers reach the graph.
        keras.utils.clear_session()
        net = self.example.tensorflow_net()
        with np.load(self.weights("tensorflow"), allow_pickle=False) as stored:
            net.set_weights([stored[name] for name in stored.files])
        return net

    def write_note(self, stage: str, **content: Any) -> None:
        """Keep how a stage was run beside what it made."""
        text = json.dumps(content, indent=2) + "\n"
        (self._folder / stage / _NOTE).write_text(text, encoding="utf-8")

    def note(self, stage: str) -> dict[str, Any]:
        """What :meth:`write_note` kept."""
        content: dict[str, Any] = json.loads((self._folder / stage / _NOTE).read_bytes())
        return content


def emptied(folder: Path) -> Path:
    """The folder, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
