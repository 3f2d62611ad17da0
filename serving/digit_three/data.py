"""scikit-learn's bundled handwritten digits as pictures of 28×28, and what part is held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from gateway.models.rows import Rows
from serving.digit_three.definition import IMAGE, SIDE

DIGIT = 3
#: The part of the pictures that no training sees.
HELD_OUT = 0.3
#: The highest value of a pixel in scikit-learn's 8×8 pictures.
_WHITE = 16

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """``pixels`` is uint8 (n, 28, 28), light on dark; ``threes`` is bool (n,): which are a 3."""

    pixels: Pixels
    threes: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pixels)

    def rows(self) -> Rows:
        """The pictures as the gateway's validator gives them to a graph."""
        return Rows({IMAGE.name: self.pixels}, len(self))

    def sha256(self) -> str:
        """Hash of pixels and truth: the same pictures give the same hash on every machine."""
        return hashlib.sha256(self.pixels.tobytes() + self.threes.tobytes()).hexdigest()


def split(seed: int) -> tuple[Pictures, Pictures]:
    """The training part and the held-out part, each digit as frequent in both."""
    digits: Any = load_digits()
    pixels = np.stack([_enlarged(picture) for picture in digits.images])
    parts: Any = train_test_split(
        pixels, digits.target, test_size=HELD_OUT, stratify=digits.target, random_state=seed
    )
    training, held_out, training_digits, held_out_digits = parts
    return (
        Pictures(training, training_digits == DIGIT),
        Pictures(held_out, held_out_digits == DIGIT),
    )


def _enlarged(picture: npt.NDArray[np.float64]) -> Pixels:
    """8×8 values of 0 to 16 as 28×28 of 0 to 255."""
    small = np.round(picture * 255 / _WHITE).astype(np.uint8)
    large = Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(large)
