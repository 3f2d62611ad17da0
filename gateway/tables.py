"""Tables on the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table


def table(*columns: str) -> Table:
    """A table with these columns, in which no name is ever cut short."""
    made = Table(*columns, box=box.SIMPLE_HEAD)
    for column in made.columns:
        column.overflow = "fold"  # what does not fit goes to the next line
    return made
