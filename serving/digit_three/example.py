"""The digit-three model as the build takes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from serving.digit_three.steps import Build


class DigitThree:
    """See :class:`serving.example.Recipe`."""

    def build(self, folder: Path, seed: int) -> Build:
        from serving.digit_three.steps import Build

        return Build(folder, seed)

    def summary(self, card: dict[str, Any]) -> list[Table]:
        scores = card["metrics"]
        rows, threes = scores["rows"]["held_out"], scores["threes"]["held_out"]
        table = Table(title=f"{rows} pictures that no training saw, {threes} of them a 3")
        for heading in ("network", "accuracy", "precision", "recall"):
            table.add_column(heading, justify="left" if heading == "network" else "right")
        for key, name in (("before_export", "PyTorch"), ("after_export", "pytorch.onnx")):
            table.add_row(name, *(f"{value:.2%}" for value in scores[key]["held_out"].values()))
        return [table]


EXAMPLE = DigitThree()
