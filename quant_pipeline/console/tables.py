"""Tables that choose their columns by the width there is: none is squeezed, those that matter least give way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from quant_pipeline.language import say

Cell = str | Text
_BETWEEN = 2
"""Cells between two columns."""


@dataclass(frozen=True)
class Column:
    """A column of a table. `rank` 0 always stays; of the others the highest gives way first.

    `figures` stand to the right. Only a column of `words` is broken into lines, and never below so many cells.
    """

    name: str
    rank: int = 0
    figures: bool = False
    words: int | None = None


@dataclass(frozen=True)
class FittedTable:
    """A titled table; rows are added as lists of cells (plain text or styled, no markup)."""

    title: Cell
    columns: Sequence[Column]
    rows: list[list[Cell]] = field(default_factory=list)

    def add(self, *cells: Cell) -> None:
        self.rows.append(list(cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, and below it in words which columns had no room."""
        empty = {place for place, column in enumerate(self.columns) if column.rank and not any(self._words_of(place))}
        chosen = self._fitting(options.max_width, empty)
        table = Table(
            header_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for place in chosen:
            column = self.columns[place]
            table.add_column(
                column.name,
                justify="right" if column.figures else "left",
                no_wrap=column.words is None,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in (row[place] for place in chosen)))
        yield Text(self.title, "bold") if isinstance(self.title, str) else self.title
        yield table
        if left_out := [self.columns[place].name for place in range(len(self.columns)) if place not in {*chosen, *empty}]:
            yield Text(say("No room here for: {columns} (a wider terminal, or --json)", columns=", ".join(left_out)), "dim")

    def _fitting(self, width: int, empty: set[int]) -> list[int]:
        """The columns that have room: places, in order."""
        chosen = [place for place in range(len(self.columns)) if place not in empty]
        while sum(self._least(place) + _BETWEEN for place in chosen) > width:
            spare = [place for place in chosen if self.columns[place].rank]
            if not spare:
                break
            chosen.remove(max(spare, key=lambda place: (self.columns[place].rank, place)))
        return chosen

    def _least(self, place: int) -> int:
        column = self.columns[place]
        widest = max(map(cell_len, (column.name, *self._words_of(place))))
        return widest if column.words is None else max(min(widest, column.words), cell_len(column.name))

    def _words_of(self, place: int) -> list[str]:
        return [word for row in self.rows if (word := str(row[place]))]
