# mypy: disable-error-code="import-not-found, misc, untyped-decorator, no-any-return, unused-ignore"
"""BentoML with adaptive batching. Usage: ``bentoml serve bentoml_service:WeightChange``."""

from __future__ import annotations

from typing import Any

import bentoml
from session import Session


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class WeightChange:
    """A batchable API takes and returns lists; BentoML joins those of waiting requests."""

    def __init__(self) -> None:
        self.session = Session()

    @bentoml.api(batchable=True, max_batch_size=64)
    async def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        """One ``session.run`` for all rows that came together."""
        return self.session.run_rows(rows)
