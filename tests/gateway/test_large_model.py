"""A model with its parameters beside it, as one of 2 GB is served, but small."""

from __future__ import annotations

from pathlib import Path

from tests.gateway.large_model import WIDTH, run


def test_parameters_beside_a_plain_file_are_served(tmp_path: Path) -> None:
    found = run(tmp_path, rows=1_000)
    assert found.table_bytes == 1_000 * WIDTH * 4
    assert found.graph_bytes < 1_000
    assert found.asked == (0, 1, 999)
    assert "rows 0, 1, 999 answered as expected" in str(found)
