"""The steps of a build: the stages in a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving.dataset import Dataset
from serving.example import Example, Report, Step
from serving.stages import data, export, judging, packing, training
from serving.stages.work import Work


class Build:
    """One build into `folder`, which must be empty: ``model.yaml`` and the version's folder.

    `original` are the rows of the real data set, to judge the networks by; they are never trained
    on. `epochs` None are the example's own. Run the steps of :attr:`steps` in order; then
    :attr:`card` tells what came of them. They hand files to each other in ``folder/work``.
    """

    def __init__(
        self,
        example: Example,
        folder: Path,
        rows: int,
        seed: int,
        original: Dataset | None,
        epochs: int | None = None,
    ) -> None:
        self._folder = folder
        self._work = Work(folder / "work", example)
        self._rows = rows
        self._seed = seed
        self._original = original
        self._epochs = epochs or example.epochs
        self.card: dict[str, Any] = {}
        #: Title, share of the build's time in about seconds, and the step itself.
        self.steps: list[tuple[str, float, Step]] = [
            ("generate rows", 1, self._generate),
            ("train the PyTorch network", 4, self._train_pytorch),
            ("train the TensorFlow network", 9, self._train_tensorflow),
            ("export and merge graphs", 4, self._export),
            ("pack the TorchServe archive", 1, self._pack),
            ("compare with the originals", 3, self._judge),
        ]

    def _generate(self, report: Report) -> None:
        data.generate(self._work, self._rows, self._seed, self._original)

    def _train_pytorch(self, report: Report) -> None:
        training.train_pytorch(self._work, self._epochs, self._seed, report)

    def _train_tensorflow(self, report: Report) -> None:
        training.train_tensorflow(self._work, self._epochs, self._seed, report)

    def _export(self, report: Report) -> None:
        export.export(self._work, report)

    def _pack(self, report: Report) -> None:
        packing.pack(self._work)

    def _judge(self, report: Report) -> None:
        self.card = judging.judge(self._work, report)
        for made in self._work.model.iterdir():
            made.rename(self._folder / made.name)
