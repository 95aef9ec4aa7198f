"""`Dataset`: the one description of a data set from which everything else is made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quant_pipeline.market.columns import Column, Rule, date, text


class Partition(StrEnum):
    """How a data set is cut into units of work."""

    SNAPSHOT = "snapshot"
    """A whole list, as of now: asked for once per session."""
    SESSION = "session"
    """Rows per session of the exchange (`trade_date`): a partition per session."""


class Coverage(StrEnum):
    """Which codes a session's answer must hold: the measure of a short answer (DESIGN: empty is not success)."""

    MARKET = "market"
    """At least every listed code that was not suspended for the whole session."""
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
    first; `symbol` is the column that names the instrument, where there is one.
    """

    name: str
    zh: str
    doc: str
    group: str
    partition: Partition
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    coverage: Coverage = Coverage.SOME
    after: tuple[str, ...] = ()
    sourced: bool = True
    """True: fetched from an outside source; False: computed here."""

    def __post_init__(self) -> None:
        names = self.column_names
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a column name stands twice")
        for part in self.key:
            if part not in names or not self.column(part).required:
                raise ValueError(f"{self.name}: key column {part!r} must be one of the columns, and required")
        if self.partition is Partition.SESSION and "trade_date" not in names:
            raise ValueError(f"{self.name}: a data set by session needs the column trade_date")

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The table's columns as a source fills them: the data set's own plus `source`."""
        return (*self.columns, SOURCE)

    @property
    def by_session(self) -> bool:
        return self.partition is Partition.SESSION

    def column(self, name: str) -> Column:
        """The column of that name; KeyError names the data set when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")


SOURCE = text("source", "来源", "Which source the row was taken from.", required=True)
CODE = text("ts_code", "代码", "Tushare code: 600000.SH, 000001.SZ, 920001.BJ.", required=True)
TRADE_DATE = date("trade_date", "交易日", "Session of the exchange.", required=True)
