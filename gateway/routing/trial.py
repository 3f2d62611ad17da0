"""A new version's trial, before any request gets to it."""

from __future__ import annotations

import numpy as np

from gateway.backends.base import Call
from gateway.config import Settings
from gateway.errors import GatewayError, ModelError
from gateway.logs import logger
from gateway.models.example import example_rows
from gateway.models.rows import Outputs
from gateway.routing.lane import Lane


async def try_out(lane: Lane, before: Lane | None, settings: Settings) -> None:
    """Predict the manifest's example, if it has one; raises :class:`GatewayError` where that fails.

    :class:`ModelError` where the answer is not finite. How far it is from the answer of the version
    before goes to the log: a new version is meant to differ, but not by orders of magnitude.
    """
    if not lane.target.model.manifest.warm_up:
        return
    outputs = await _example(lane, settings)
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(f"its {name} for the example is not finite")
    if before is None:
        return
    target = lane.target
    fields: dict[str, object] = {
        "model": target.model.name,
        "version": target.model.version,
        "before": before.target.model.version,
        "backend": target.backend,
        "lineage": target.lineage,
    }
    try:
        fields["difference"] = _differences(await _example(before, settings), outputs)
    except GatewayError as error:
        fields["before_failed"] = error.detail
    logger.info("model version compared on the example", extra={"fields": fields})


async def _example(lane: Lane, settings: Settings) -> Outputs:
    rows = await example_rows(lane.target.model)
    return await lane.backend.predict(lane.target, rows, Call.within(settings.request_timeout_s))


def _differences(old: Outputs, new: Outputs) -> dict[str, float]:
    """The largest absolute difference by output, of the numeric ones that both have."""
    return {
        name: float(np.abs(np.subtract(array, old[name], dtype=np.float64)).max(initial=0.0))
        for name, array in new.items()
        if array.dtype.kind in "iuf" and name in old and old[name].shape == array.shape
    }
