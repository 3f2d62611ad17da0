"""Stage ``data``: rows to train on and to judge by, and the manifest with their ranges."""

from __future__ import annotations

from serving.dataset import Dataset
from serving.export.manifest import to_yaml, with_ranges
from serving.stages.work import HELD_OUT, ORIGINAL, PARITY, TRAINING, Work, emptied

#: Rows the networks have not seen: to judge them, and to compare exports with originals.
HELD_OUT_ROWS = 10_000
PARITY_ROWS = 2_000


def generate(work: Work, rows: int, seed: int, original: Dataset | None = None) -> None:
    """Make the rows of a build; `original`, rows of the real data set, are kept to judge by.

    Raises:
        ValueError: `rows` is below 1.
    """
    plan = {TRAINING: (rows, seed), HELD_OUT: (HELD_OUT_ROWS, seed + 1)}
    plan[PARITY] = (PARITY_ROWS, seed + 2)
    made = {name: work.example.generate(*wanted) for name, wanted in plan.items()}
    if original is not None:
        made[ORIGINAL] = original
    emptied(work.data)
    for name, data in made.items():
        work.rows_file(name).write_text(data.csv_text(), encoding="utf-8")
    manifest = with_ranges(work.example.manifest, made[TRAINING].ranges())
    work.manifest_file.write_text(to_yaml(manifest), encoding="utf-8")
    work.write_note("data", seeds={f"{name}_rows": used for name, (_, used) in plan.items()})
