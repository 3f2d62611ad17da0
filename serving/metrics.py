"""How well a prediction meets the truth."""

from __future__ import annotations

import numpy as np

from serving.dataset import Floats


def r2(truth: Floats, predicted: Floats) -> float:
    """Coefficient of determination of (n,) against (n,): 1 is perfect, 0 is as good as the mean."""
    residual = float(np.sum((truth - predicted) ** 2))
    return 1.0 - residual / float(np.sum((truth - truth.mean()) ** 2))


def mae(truth: Floats, predicted: Floats) -> float:
    """Mean absolute error of (n,) against (n,), in the target's unit."""
    return float(np.mean(np.abs(truth - predicted)))
