"""The manifest's example as rows, wherever something is tried out on it."""

from __future__ import annotations

import asyncio

from gateway.models.repository import ModelVersion
from gateway.models.rows import Rows


async def example_rows(model: ModelVersion) -> Rows:
    """One row: the example.

    Pictures are decoded on a thread, because they may be large. Raises :class:`InvalidInput` where
    the example does not fit the manifest.
    """
    if model.manifest.images:
        return await asyncio.to_thread(_rows, model)
    return _rows(model)


def _rows(model: ModelVersion) -> Rows:
    return model.validator.convert([model.manifest.example])
