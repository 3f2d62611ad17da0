"""What of the report is shown on the terminal: the table in short, agreement, and the advice."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from loadtests.compare.report import method
from loadtests.compare.report.headline import headline
from loadtests.compare.report.table import Cell, Table
from loadtests.compare.report.verdicts import Verdict, verdicts
from loadtests.compare.results import Results

_VERDICTS = {"equivalent": "green", "not equivalent": "red", "undecided": "yellow"}
_ACTIONS = {"move": "bold green", "stay": "bold red", "none": "bold"}


#: Columns a terminal must have for the confidence intervals to be shown.
_WIDE = 116


def print_terminal(results: Results, console: Console) -> None:
    """Print it; what comes from outside is printed as it is, never read as markup."""
    table = headline(results)
    if not table.empty:
        console.print(_table(table, console.width >= _WIDE))
    for line in method.stand_ins(results):
        console.print(Text(line, style="dim"))
    for one in verdicts(results):
        console.print(_verdict(one))
    for note in results.notes:
        console.print(Text(f"Note: {note}", style="dim"))


def _table(table: Table, wide: bool) -> RichTable:
    # Units and intervals are lines of their own, or the table would not fit beside the names.
    shown = RichTable(
        title=Text(table.caption), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1)
    )
    for i, column in enumerate(table.columns):
        head = "\n".join(filter(None, [column.name, column.unit]))
        if i:
            shown.add_column(Text(head, justify="right"), justify="right", overflow="fold")
        else:
            shown.add_column(Text(head), no_wrap=True)
    for group in table.groups:
        for row in group.rows:
            shown.add_row(*(_cell(cell, wide) for cell in row))
    return shown


def _cell(cell: Cell, wide: bool) -> Text:
    text = Text(cell.text.replace(" direct", "\ndirect"))
    if cell.mark:
        text.append(f"\n{cell.mark}", style="yellow")
    for line in (cell.between if wide else "", cell.remark):
        if line:
            text.append(f"\n{line}", style="dim")
    for other in cell.more:
        text.append(f"\n{other.text} {other.remark}".rstrip(), style="dim")
    return text


def _verdict(one: Verdict) -> Text:
    text = Text(f"\n{one.head}", style=_ACTIONS.get(one.action, "bold"))
    text.append(f"  {one.between}", style="not bold dim")
    if one.parity is not None:
        text.append("\n  ")
        text.append(one.parity.verdict, style=f"not bold {_VERDICTS[one.parity.verdict]}")
        text.append(f": {one.parity.evidence}", style="not bold default")
    for sentence in one.sentences:
        words = "".join(piece.text for piece in sentence.pieces)
        text.append(f"\n  - {words}", style="not bold default")
    if one.silence:
        text.append(f"\n  {one.silence}", style="not bold dim")
    return text
