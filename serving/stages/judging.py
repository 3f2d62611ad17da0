"""Stage ``check``: exports against originals, networks against the truth, and the finished folder.

A file that answers something else than the object it was made from ends the build here.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np

from gateway.models.rows import Array
from serving import layout, metrics
from serving.dataset import Dataset
from serving.example import Report, Tensor
from serving.export import archive, check
from serving.export.card import write_card
from serving.stages.work import HELD_OUT, ORIGINAL, PARITY, TRAINING, Work, emptied

Sets = dict[str, Dataset]


def judge(work: Work, report: Report) -> dict[str, Any]:
    """Assemble the model folder with its card, which is returned.

    Raises:
        ParityError: a file differs from its original by more than the manifest's tolerance.
        OSError: a stage before has not run.
    """
    names = [TRAINING, HELD_OUT, PARITY]
    names += [ORIGINAL] if work.rows_file(ORIGINAL).is_file() else []
    sets = {name: work.rows(name) for name in names}
    emptied(work.model)
    shutil.copy(work.manifest_file, work.model)
    shutil.copytree(work.export, work.version)
    shutil.copy(work.archive, work.version)
    parity = _compare(work, sets)
    report(0.7)
    scores = _scores(work, sets)
    card = _card(work, sets[TRAINING]) | {"parity": parity, "metrics": scores}
    write_card(work.version / layout.CARD, card)
    kept = {name: scores[name] for name in ("pytorch", "tensorflow")}
    kept["greatest_difference"] = parity["greatest_difference"]
    work.metrics.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return card


def _compare(work: Work, sets: Sets) -> dict[str, Any]:
    """Hold every file against the object it was made from, over rows of its own."""
    manifest = work.manifest()
    maxima: dict[str, float] = {}
    compared = [sets[name] for name in (PARITY, ORIGINAL) if name in sets]
    originals = _Originals(work, sets[TRAINING])
    for rows in compared:
        for file, difference in originals.differences(rows).items():
            maxima[file] = max(difference, maxima.get(file, 0.0))
    return {
        "rows": sum(len(rows) for rows in compared),
        "tolerance": manifest.parity.absolute,
        "unit": manifest.outputs[0].unit,
        "greatest_difference": maxima,
    }


class _Originals:
    """The transformer and the networks that the files were made from."""

    def __init__(self, work: Work, training: Dataset) -> None:
        self._manifest = work.manifest()
        self._version = work.version
        self._transformer, _ = work.fitted(training)
        self._torch_net = work.pytorch_net()
        self._keras_net = work.tensorflow_net()

    def differences(self, data: Dataset) -> dict[str, float]:
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
        mar = layout.archive_name(self._manifest.name)
        packed = archive.load_net(self._version / mar, self._torch_net)
        differ(mar, check.run_torch(packed, tensor), answer)
        answer = check.run_graph(self._version / layout.TENSORFLOW, rows)
        differ(layout.TENSORFLOW, answer, check.run_keras(self._keras_net, scaled))
        target = self._manifest.outputs[0].name
        served = check.run_saved_model(self._version / layout.SAVED_MODEL, tensor, target)
        differ(layout.SAVED_MODEL, served, answer)
        return found


def _scores(work: Work, sets: Sets) -> dict[str, Any]:
    """Score what is served, the merged graphs, on rows the networks have not seen."""
    sets = {name: sets[name] for name in (HELD_OUT, ORIGINAL) if name in sets}
    best = work.example.best_prediction
    ceilings = {name: metrics.r2(data.target, best(data)) for name, data in sets.items()}
    return {
        "note": "noise_ceiling_r2 is the R² of the target's true mean given the features: what "
        "is left is noise in the data. Differences from it on few rows are chance.",
        "rows": {name: len(data) for name, data in sets.items()},
        "noise_ceiling_r2": {name: round(value, 4) for name, value in ceilings.items()},
        "pytorch": {name: _score(work, layout.PYTORCH, data) for name, data in sets.items()},
        "tensorflow": {name: _score(work, layout.TENSORFLOW, data) for name, data in sets.items()},
    }


def _score(work: Work, file: str, data: Dataset) -> dict[str, float]:
    answer = check.run_graph(work.version / file, data.rows(work.manifest()))
    predicted = np.asarray(answer, np.float64)[:, 0]
    return {
        "r2": round(metrics.r2(data.target, predicted), 4),
        "mae": round(metrics.mae(data.target, predicted), 4),
    }


def _card(work: Work, training: Dataset) -> dict[str, Any]:
    notes = {network: work.note(network) for network in ("pytorch", "tensorflow")}
    return {
        "name": work.example.manifest.name,
        "version": layout.VERSION,
        "architecture": work.example.architecture,
        "data": {
            "source": work.example.source,
            "training_rows": len(training),
            "training_rows_sha256": training.sha256(),
            "ranges": {name: list(limits) for name, limits in training.ranges().items()},
        },
        "seeds": work.note("data")["seeds"] | {name: n["seed"] for name, n in notes.items()},
        "epochs": {name: note["epochs"] for name, note in notes.items()},
    }
