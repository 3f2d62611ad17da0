"""The steps of a build, in order, and what they hand to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gateway.models.manifest import MANIFEST_NAME
from gateway.models.rows import Array
from serving import layout, metrics
from serving.dataset import Dataset
from serving.example import Example, Report, Step, Tensor
from serving.export import archive, check, keras_files
from serving.export.card import write_card
from serving.export.fuse import fuse
from serving.export.manifest import to_yaml, with_ranges
from serving.export.onnx_file import save
from serving.export.preprocess import transformer_to_onnx
from serving.export.torch_onnx import torch_to_onnx

#: Rows the networks have not seen: to judge them, and to compare exports with originals.
HELD_OUT_ROWS = 10_000
PARITY_ROWS = 2_000


class Build:
    """One build into `folder`, which must be empty: ``model.yaml`` and the version's folder.

    `original` are the rows of the real data set, to judge the networks by; they are never trained
    on. Run the steps of :attr:`steps` in order; then :attr:`card` tells what came of them.
    """

    def __init__(
        self, example: Example, folder: Path, rows: int, seed: int, original: Dataset | None
    ) -> None:
        self._example = example
        self._folder = folder
        self._version = folder / layout.VERSION
        self._seeds = {"training_rows": seed, "held_out_rows": seed + 1, "parity_rows": seed + 2}
        self._seeds |= {"pytorch": seed, "tensorflow": seed}
        self._rows = rows
        self._original = original
        self._output = example.manifest.outputs[0].name
        self.card: dict[str, Any] = {}
        #: Title, share of the build's time in about seconds, and the step itself.
        self.steps: list[tuple[str, float, Step]] = [
            ("generate rows", 1, self._generate),
            ("train the PyTorch network", 4, self._train_pytorch),
            ("train the TensorFlow network", 9, self._train_tensorflow),
            ("export and merge graphs", 4, self._export),
            ("pack the TorchServe archive", 1, self._pack),
            ("compare exports with originals", 1, self._compare),
            ("judge the networks", 1, self._judge),
            ("write the card", 1, self._write_card),
        ]

    def _generate(self, report: Report) -> None:
        generate, seeds = self._example.generate, self._seeds
        self._training = generate(self._rows, seeds["training_rows"])
        self._held_out = generate(HELD_OUT_ROWS, seeds["held_out_rows"])
        self._parity = generate(PARITY_ROWS, seeds["parity_rows"])
        self._transformer = self._example.transformer()
        self._features: Tensor = self._transformer.fit_transform(self._training.matrix()).astype(
            np.float32
        )
        self._manifest = with_ranges(self._example.manifest, self._training.ranges())
        self._version.mkdir()
        (self._folder / MANIFEST_NAME).write_text(to_yaml(self._manifest), encoding="utf-8")

    def _train_pytorch(self, report: Report) -> None:
        self._torch_net = self._example.train_pytorch(
            self._features, self._training.target, self._seeds["pytorch"], report
        )

    def _train_tensorflow(self, report: Report) -> None:
        self._keras_net = self._example.train_tensorflow(
            self._features, self._training.target, self._seeds["tensorflow"], report
        )

    def _export(self, report: Report) -> None:
        source, target, width = layout.TENSOR, self._output, self._features.shape[1]
        preprocess = transformer_to_onnx(self._transformer, self._manifest.features, width, source)
        save(preprocess, self._version / layout.PREPROCESS)
        net = torch_to_onnx(self._torch_net, width, source, target)
        save(fuse(preprocess, net, "pytorch"), self._version / layout.PYTORCH)
        report(0.7)
        net = keras_files.keras_to_onnx(self._keras_net, source, target)
        save(fuse(preprocess, net, "tensorflow"), self._version / layout.TENSORFLOW)
        keras_files.keras_to_saved_model(
            self._keras_net, self._version / layout.SAVED_MODEL, source, target
        )

    def _pack(self, report: Report) -> None:
        archive.make_archive(
            self._manifest.name,
            self._torch_net,
            self._example.net_file,
            self._folder / MANIFEST_NAME,
            self._version / layout.PREPROCESS,
            self._version / layout.archive_name(self._manifest.name),
        )

    def _compare(self, report: Report) -> None:
        """Hold every file against the object it was made from, over rows of its own."""
        maxima: dict[str, float] = {}
        sets = [self._parity] if self._original is None else [self._parity, self._original]
        for rows in sets:
            for file, difference in self._differences(rows).items():
                maxima[file] = max(difference, maxima.get(file, 0.0))
        self.card["parity"] = {
            "rows": sum(len(rows) for rows in sets),
            "tolerance": self._manifest.parity.absolute,
            "unit": self._manifest.outputs[0].unit,
            "greatest_difference": maxima,
        }

    def _differences(self, data: Dataset) -> dict[str, float]:
        """File to its greatest difference, in the output's unit; raises ParityError."""
        found: dict[str, float] = {}

        def differ(file: str, answer: Array, original: Array) -> None:
            tolerance = self._manifest.parity.absolute
            found[file] = check.greatest_difference(file, answer, original, tolerance)

        rows = data.rows(self._manifest)
        scaled: Tensor = self._transformer.transform(data.matrix()).astype(np.float32)
        tensor = check.run_graph(self._version / layout.PREPROCESS, rows).astype(np.float32)
        differ(layout.PREPROCESS, tensor, scaled)
        answer = check.run_graph(self._version / layout.PYTORCH, rows)
        differ(layout.PYTORCH, answer, check.run_torch(self._torch_net, scaled))
        packed = archive.load_net(
            self._version / layout.archive_name(self._manifest.name), self._torch_net
        )
        differ(layout.archive_name(self._manifest.name), check.run_torch(packed, tensor), answer)
        answer = check.run_graph(self._version / layout.TENSORFLOW, rows)
        differ(layout.TENSORFLOW, answer, check.run_keras(self._keras_net, scaled))
        served = check.run_saved_model(self._version / layout.SAVED_MODEL, tensor, self._output)
        differ(layout.SAVED_MODEL, served, answer)
        return found

    def _judge(self, report: Report) -> None:
        """Score what is served, the merged graphs, on rows the networks have not seen."""
        sets = {"held_out": self._held_out}
        if self._original is not None:
            sets["original"] = self._original
        ceilings = {
            name: metrics.r2(data.target, self._example.best_prediction(data))
            for name, data in sets.items()
        }
        self.card["metrics"] = {
            "note": "noise_ceiling_r2 is the R² of the target's true mean given the features: what "
            "is left is noise in the data. Differences from it on few rows are chance.",
            "rows": {name: len(data) for name, data in sets.items()},
            "noise_ceiling_r2": {name: round(value, 4) for name, value in ceilings.items()},
            "pytorch": {name: self._score(layout.PYTORCH, data) for name, data in sets.items()},
            "tensorflow": {
                name: self._score(layout.TENSORFLOW, data) for name, data in sets.items()
            },
        }

    def _score(self, file: str, data: Dataset) -> dict[str, float]:
        answer = check.run_graph(self._version / file, data.rows(self._manifest))
        predicted = np.asarray(answer, np.float64)[:, 0]
        return {
            "r2": round(metrics.r2(data.target, predicted), 4),
            "mae": round(metrics.mae(data.target, predicted), 4),
        }

    def _write_card(self, report: Report) -> None:
        seen = self._training.ranges()
        self.card = {
            "name": self._manifest.name,
            "version": layout.VERSION,
            "architecture": self._example.architecture,
            "data": {
                "source": self._example.source,
                "training_rows": len(self._training),
                "training_rows_sha256": self._training.sha256(),
                "ranges": {name: list(limits) for name, limits in seen.items()},
            },
            "seeds": self._seeds,
            **self.card,
        }
        write_card(self._version / layout.CARD, self.card)
