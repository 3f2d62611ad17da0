# mypy: disable-error-code="import-not-found, misc, no-any-return, unused-ignore"
"""LitServe with its batching: what waits in its queue goes together.

Usage: ``python litserve_app.py PORT``.
"""

import sys
from collections.abc import Sequence
from typing import Any

import litserve
from session import Session


class WeightChange(litserve.LitAPI):
    """One row per request, batched before ``predict``."""

    def setup(self, device: str) -> None:
        """Load the graph in the inference process."""
        self.session = Session()

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        """The body as it is: the graph takes the features by name."""
        return request

    def batch(self, inputs: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        """Rows stay rows until ``predict``."""
        return inputs

    def predict(self, rows: Sequence[dict[str, Any]]) -> list[float]:
        """One ``session.run`` for all."""
        return self.session.run_rows(rows)

    def unbatch(self, output: list[float]) -> list[float]:
        """One value per request."""
        return output

    def encode_response(self, output: float) -> dict[str, float]:
        """The answer to one row, in lb."""
        return {"weight_change": output}


def main() -> None:
    """Serve on 127.0.0.1 until terminated."""
    server = litserve.LitServer(
        WeightChange(max_batch_size=64, batch_timeout=0.001),
        accelerator="cpu",
        workers_per_device=1,
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
