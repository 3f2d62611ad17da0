"""The steps of digit-three's build, in order, and what they hand to each other."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from gateway.models.manifest import MANIFEST_NAME
from serving import layout
from serving.digit_three import net
from serving.digit_three.data import Pictures, split
from serving.digit_three.definition import IMAGE, MANIFEST, TARGET, THRESHOLD
from serving.digit_three.preprocess import make_preprocess
from serving.digit_three.training import scaled, train
from serving.example import GoalMissed, Report, Step
from serving.export import archive, check
from serving.export.card import write_card
from serving.export.fuse import fuse
from serving.export.manifest import to_yaml
from serving.export.onnx_file import save
from serving.export.torch_onnx import torch_to_onnx

#: A build whose network is wrong more often on the held-out pictures is given up.
GOAL = 0.97
_LIBRARIES = (
    *("numpy", "pillow", "scikit-learn", "torch", "onnx", "onnxruntime", "onnxscript"),
    "torch-model-archiver",
)


class Build:
    """One build into `folder`, which must be empty: ``model.yaml`` and the version's folder.

    Run the steps of :attr:`steps` in order; then :attr:`card` tells what came of them.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._version = folder / layout.VERSION
        self._seed = seed
        self.card: dict[str, Any] = {}
        #: Title, share of the build's time in about seconds, and the step itself.
        self.steps: list[tuple[str, float, Step]] = [
            ("enlarge the digits", 1, self._prepare),
            ("train the network", 4, self._train),
            ("export and merge graphs", 3, self._export),
            ("compare exports with originals", 1, self._compare),
            ("judge before and after export", 1, self._judge),
            ("write the card", 1, self._write_card),
        ]

    def _prepare(self, report: Report) -> None:
        self._training, self._held_out = split(self._seed)
        shown = self._held_out.pixels[self._held_out.threes][0]
        features = (msgspec.structs.replace(IMAGE, example=_png(shown)),)
        self._manifest = msgspec.structs.replace(MANIFEST, features=features)
        self._manifest.check()
        self._version.mkdir()
        (self._folder / MANIFEST_NAME).write_text(to_yaml(self._manifest), encoding="utf-8")

    def _train(self, report: Report) -> None:
        self._net = train(self._training, self._seed, report)

    def _export(self, report: Report) -> None:
        width = scaled(self._training).shape[1]
        preprocess = make_preprocess(IMAGE.name, layout.TENSOR)
        save(preprocess, self._version / layout.PREPROCESS)
        graph = torch_to_onnx(self._net, width, layout.TENSOR, TARGET.name)
        save(fuse(preprocess, graph, "pytorch"), self._version / layout.PYTORCH)
        report(0.7)
        archive.make_archive(
            self._manifest.name,
            self._net,
            Path(net.__file__),
            self._folder / MANIFEST_NAME,
            self._version / layout.PREPROCESS,
            self._version / layout.archive_name(self._manifest.name),
        )

    def _compare(self, report: Report) -> None:
        """Hold every file against the object it was made from, over the held-out pictures."""
        tolerance = self._manifest.parity.absolute
        mar = layout.archive_name(self._manifest.name)
        features = scaled(self._held_out)
        self._before = check.run_torch(self._net, features)
        self._after = check.run_graph(self._version / layout.PYTORCH, self._held_out.rows())
        tensor = check.run_graph(self._version / layout.PREPROCESS, self._held_out.rows())
        packed = check.run_torch(archive.load_net(self._version / mar, self._net), features)
        pairs = {
            layout.PREPROCESS: (tensor, features),
            layout.PYTORCH: (self._after, self._before),
            mar: (packed, self._before),
        }
        self.card["parity"] = {
            "rows": len(self._held_out),
            "tolerance": tolerance,
            "greatest_difference": {
                file: check.greatest_difference(file, answer, original, tolerance)
                for file, (answer, original) in pairs.items()
            },
        }

    def _judge(self, report: Report) -> None:
        """Score the network as it was trained, and the merged graph that is served."""
        before = score(self._held_out, np.asarray(self._before, np.float64)[:, 0])
        after = score(self._held_out, np.asarray(self._after, np.float64)[:, 0])
        if before != after:
            raise check.ParityError(f"{layout.PYTORCH}: {after}, before the export {before}")
        if after["accuracy"] < GOAL:
            raise GoalMissed(
                f"the network is right on {after['accuracy']:.1%}, less than {GOAL:.0%}"
            )
        self.card["metrics"] = {
            "rows": {"held_out": len(self._held_out)},
            "threes": {"held_out": int(self._held_out.threes.sum())},
            "before_export": {"held_out": before},
            "after_export": {"held_out": after},
        }

    def _write_card(self, report: Report) -> None:
        self.card = {
            "name": self._manifest.name,
            "version": layout.VERSION,
            "architecture": "two convolutions with ReLU, 12 and 24 channels, a linear layer and a "
            "sigmoid; Adam with a cosine schedule on the cross-entropy, pictures shifted by up to "
            "one pixel",
            "data": {
                "source": "scikit-learn's load_digits (UCI, optical recognition of handwritten "
                "digits, test set), 8×8 enlarged to 28×28",
                "training_rows": len(self._training),
                "training_rows_sha256": self._training.sha256(),
            },
            "seeds": {"split": self._seed, "pytorch": self._seed},
            **self.card,
        }
        write_card(self._version / layout.CARD, self.card, _LIBRARIES)


def score(pictures: Pictures, probabilities: npt.NDArray[np.float64]) -> dict[str, float]:
    """How often the label is right, of all pictures, of those called a 3, and of the threes."""
    called = probabilities >= THRESHOLD
    right = called == pictures.threes
    return {
        "accuracy": round(float(right.mean()), 4),
        "precision": round(float(pictures.threes[called].mean()), 4) if called.any() else 0.0,
        "recall": round(float(called[pictures.threes].mean()), 4),
    }


def _png(pixels: npt.NDArray[np.uint8]) -> str:
    """A picture as base64 of a PNG."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
