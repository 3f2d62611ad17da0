"""A table of the report before it is HTML, Markdown or text on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from loadtests.compare.report.numerals import NOTHING, interval, number, percent
from loadtests.compare.results import Figure

#: Written behind what a stand-in has a part in.
STAND_IN = "stand-in"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a place of a table; ``more`` are smaller ones below it.

    ``between`` is the confidence interval, ``remark`` is smaller. ``figure`` is the id of the
    figure that is shown; ``here`` tells its own place in the report from places that lead there.
    ``mark`` is a word that stands out: ``stand-in``, ``better``.
    """

    text: str
    between: str = ""
    remark: str = ""
    figure: str | None = None
    here: bool = False
    mark: str = ""
    more: list[Cell] = []

    def plain(self) -> str:
        """All of it in a line."""
        parts = [self.text]
        if self.between:
            parts.append(f"({self.between})")
        if self.mark:
            parts.append(f"[{self.mark}]")
        if self.remark:
            parts.append(f"({self.remark})" if self.text != NOTHING else self.remark)
        return "; ".join([" ".join(filter(None, parts)), *(cell.plain() for cell in self.more)])


class Column(msgspec.Struct, frozen=True):
    """``unit`` is said once, in the head; numbers stand to the right."""

    name: str
    unit: str = ""
    numeric: bool = True

    @property
    def head(self) -> str:
        """Name and unit in a line."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


class Group(msgspec.Struct):
    """Rows that belong together; ``name`` may be empty.

    A row that names a stand-in has its mark at the name, not at each figure as well.
    """

    name: str
    rows: list[list[Cell]]

    def __post_init__(self) -> None:
        self.rows = [_marked_once(row) for row in self.rows]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """``caption`` says in a line what is to be seen; a row has a cell for each column."""

    caption: str
    columns: list[Column]
    groups: list[Group]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(group.rows for group in self.groups)


def ungrouped(caption: str, columns: list[Column], rows: list[list[Cell]]) -> Table:
    """A table whose rows are one group."""
    return Table(caption=caption, columns=columns, groups=[Group("", rows)])


def words(text: str, *, mark: str = "", remark: str = "") -> Cell:
    """A cell of text."""
    return Cell(text=text, mark=mark, remark=remark)


def named(name: str, stand_in: str | None) -> Cell:
    """A subject's or a server's name, marked where a stand-in has a part in it."""
    return Cell(text=name, mark=STAND_IN if stand_in else "")


def shown(figure: Figure | None, sign: str = "", factor: float = 1.0) -> Cell:
    """The figure at its own place, with its interval and its remark.

    ``sign`` goes before a value that is a bound; ``factor`` brings it to the column's unit.
    """
    return _cell(figure, True, number, sign, factor)


def shown_share(figure: Figure | None) -> Cell:
    """A share of one, or one in percent already, at its own place in percent."""
    in_percent = figure is not None and figure.unit == "%"
    return _cell(figure, True, percent, factor=0.01 if in_percent else 1.0)


def linked(figure: Figure | None, sign: str = "") -> Cell:
    """The figure once more: leads to its own place; a remark only where there is no number."""
    return _cell(figure, False, number, sign)


def with_unit(cell: Cell, unit: str) -> Cell:
    """The cell with the unit behind its number, for columns of several units."""
    if not unit or cell.text == NOTHING:
        return cell
    return msgspec.structs.replace(cell, text=f"{cell.text} {unit}")


def together(cells: Sequence[Cell]) -> Cell:
    """Several cells in one place."""
    if not cells:
        return words(NOTHING)
    return msgspec.structs.replace(cells[0], more=[*cells[0].more, *cells[1:]])


def _marked_once(row: list[Cell]) -> list[Cell]:
    if not any(cell.mark == STAND_IN and cell.figure is None for cell in row):
        return row
    return [cell if cell.figure is None else _unmarked(cell) for cell in row]


def _unmarked(cell: Cell) -> Cell:
    return msgspec.structs.replace(
        cell,
        mark="" if cell.mark == STAND_IN else cell.mark,
        more=[_unmarked(other) for other in cell.more],
    )


def _cell(
    figure: Figure | None,
    here: bool,
    write: Callable[[float | None], str],
    sign: str = "",
    factor: float = 1.0,
) -> Cell:
    if figure is None:
        return words(NOTHING)
    value = None if figure.value is None else figure.value * factor
    text = write(value)
    return Cell(
        text=f"{sign} {text}" if sign and text != NOTHING else text,
        between="" if text == NOTHING else _between(figure, write, factor),
        remark=figure.remark if here or figure.value is None else "",
        figure=figure.id,
        here=here,
        mark=STAND_IN if figure.stand_in else "",
    )


def _between(figure: Figure, write: Callable[[float | None], str], factor: float) -> str:
    if figure.low is None or figure.high is None or figure.value is None:
        return ""
    if write is percent:
        low, high = percent(figure.low * factor), percent(figure.high * factor)
        return f"{low.removesuffix(' %')}–{high.removesuffix(' %')}"
    return interval(figure.low * factor, figure.high * factor, figure.value * factor)
