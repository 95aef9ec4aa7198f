"""`Dataset`: the one description of a data set from which everything else is made."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from quant_pipeline.market.calendar import DATA_READY
from quant_pipeline.market.codes import Board
from quant_pipeline.market.columns import Column, Rule, date, text
from quant_pipeline.market.merging import Merge


class Partition(StrEnum):
    """How a data set is cut into units of work."""

    SNAPSHOT = "snapshot"
    """A whole list, as of now: asked for once per session."""
    SESSION = "session"
    """Rows per session of the exchange (`trade_date`): a partition per session."""
    WEEK = "week"
    """Rows per week; `trade_date` is the week's last session, of the running week the latest one so far."""
    MONTH = "month"
    """Rows per month; `trade_date` as for weeks."""


class Coverage(StrEnum):
    """Which codes a session's answer must hold: the measure of a short answer (DESIGN: empty is not success)."""

    MARKET = "market"
    """At least every listed code of the universe that was not suspended for the whole session (week, month)."""
    EVERY = "every"
    """Every code of the universe, in every session since its first day: an index is never suspended."""
    MOST = "most"
    """Most of the universe's listed codes: a thin market, in which some may not trade on a day."""
    DAYS = "days"
    """Every calendar day from its first to its last (of a calendar)."""
    SOME = "some"
    """Anything, but never nothing."""
    ANY = "any"
    """May rightly be empty (no code was suspended that day, no code hit the screen)."""


@dataclass(frozen=True)
class Dataset:
    """A data set: name = table = asset key.

    From it come the PostgreSQL table, the validation of incoming frames, the Dagster asset with its column schema and
    checks, and the documentation. `key` is the primary key; `after` names the data sets it is checked against or needs
    first.
    """

    name: str
    zh: str
    doc: str
    group: str
    partition: Partition
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    merge: Merge | None = None
    """How rows of one key that differ become one where they complete each other; None: they contradict each other."""
    coverage: Coverage = Coverage.SOME
    after: tuple[str, ...] = ()
    universe: tuple[str, ...] = ()
    """The lists whose codes owe rows here, and can be asked for one by one."""
    codes: tuple[str, ...] = ()
    """Only these of the universe are synced, unless others are named."""
    ready: dt.time = DATA_READY
    """When, on the session's own day, the sources have its rows."""
    first: dt.date | None = None
    """Before this day nobody has a row of it: nothing is owed, and nobody is asked. None: the lists' first days say it."""
    boards: tuple[Board, ...] = ()
    """Only codes of these boards owe a row; empty: all of the universe."""
    whole: bool = False
    """A session's (week's, month's) answer is all that there is of it: what it no longer holds is gone."""
    sourced: bool = True
    """True: fetched from an outside source; False: computed here."""
    on_demand: bool = False
    """Fetched only before what leans on it, where that lacks it: no job and no command asks for it by itself."""
    moment: str = ""
    """The key's column of the moment within the session, where a code has rows by the thousand in each: these stand in their
    table alone, not in the lake, and are exported only where they are named."""

    def __post_init__(self) -> None:
        names = self.column_names
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a column name stands twice")
        for part in self.key:
            if part not in names or not self.column(part).required:
                raise ValueError(f"{self.name}: key column {part!r} must be one of the columns, and required")
        if self.dated and "trade_date" not in names:
            raise ValueError(f"{self.name}: a data set by {self.partition} needs the column trade_date")
        if self.coverage in (Coverage.MARKET, Coverage.EVERY, Coverage.MOST) and not self.universe:
            raise ValueError(
                f"{self.name}: coverage {self.coverage} needs a universe, the lists whose codes owe rows: without one an "
                "answer of a single row would be taken for the whole market's"
            )

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The table's columns as a source fills them: the data set's own plus `source`."""
        return (*self.columns, SOURCE)

    @property
    def stored_order(self) -> list[str]:
        """The key in the order in which the table's primary key holds it and rows are best written: trade_date first.

        Measured at 1.7 M bars against (ts_code, trade_date) with an index on trade_date: sessions are written 1.2 to 2 times
        as fast, read 3.5 times as fast, one code's history as fast, in 10 % less space.
        """
        return sorted(self.key, key=lambda name: name != "trade_date")

    @property
    def dated(self) -> bool:
        """Whether its rows belong to a session (the last one of a week or month): all but lists."""
        return self.partition is not Partition.SNAPSHOT

    @property
    def periodic(self) -> bool:
        """Whether a row spans a week or a month."""
        return self.partition in (Partition.WEEK, Partition.MONTH)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError names the data set when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")


SOURCE = text("source", "来源", "Which source the row was taken from.", required=True)
CODE = text("ts_code", "代码", "Tushare code: 600000.SH, 000001.SZ, 920001.BJ.", required=True)
TRADE_DATE = date("trade_date", "交易日", "Session of the exchange.", required=True)
