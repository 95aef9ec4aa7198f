"""The vocabulary of checks: what a check looks at (Scope), what it finds (Verdict), and what it is (Check)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

PAGE = 50
"""So many offending rows are shown."""
_CHUNK = {Partition.WEEK: 50, Partition.MONTH: 12}
_SESSIONS = 250
"""Sessions looked at in one query: it bounds the memory of a check over a long range."""


@dataclass(frozen=True)
class Verdict:
    """A check's result: what was looked at, and the offending rows (at most a page of them).

    `news`: what the user is sent a message about, once for each key, whether the check fails or only warns.
    """

    passed: bool
    text: str
    looked_at: int = 0
    offending: pl.DataFrame = field(default_factory=lambda: pl.DataFrame())
    news: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What a check looks at: a data set's rows of some sessions, in a database, by a calendar."""

    database: Database
    dataset: Dataset
    sessions: Sequence[dt.date]
    calendar: Calendar
    codes: Sequence[str] = ()
    """Only these were asked for; empty: all that owe rows. Checks that are `of_codes` look at them alone."""
    found: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What one check counted and another needs too, under a name."""

    def only(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of the codes that were asked for."""
        return rows.filter(pl.col("ts_code").is_in(list(self.codes))) if self.codes else rows

    def chunks(self) -> Iterator[Sequence[dt.date]]:
        """The sessions (of a weekly or monthly data set: the labels of their periods), some 250 sessions at a time."""
        labels = labels_of(self.dataset, self.calendar, self.sessions)
        size = _CHUNK.get(self.dataset.partition, _SESSIONS)
        for first in range(0, len(labels), size):
            yield labels[first : first + size]


@dataclass(frozen=True)
class Check:
    """A named check. `warns`: failing it is a warning, not an error · `of_codes`: it can be asked of a few codes alone,
    of which completeness, say, has nothing to tell."""

    name: str
    zh: str
    doc: str
    judge: Callable[[Scope], Verdict]
    warns: bool = False
    of_codes: bool = False


def by_queries(scope: Scope, offending: str, looked_at: str, what: str) -> Verdict:
    """Passes when `offending` finds no row between %(start)s and %(end)s; `looked_at` counts (as n) those it judges.

    `what`: a marked text about `count` of `total` rows.
    """
    rows, seen = [], 0
    for chunk in scope.chunks():
        window = {"start": chunk[0], "end": chunk[-1]}
        rows.append(read_sql(scope.database, offending, window))
        seen += int(read_sql(scope.database, looked_at, window).item())
    found = pl.concat(rows) if rows else pl.DataFrame()
    return Verdict(found.is_empty(), told(what, count=found.height, total=seen), seen, found.head(PAGE))


def rows_between(table: str) -> str:
    """The query that counts a table's rows between %(start)s and %(end)s."""
    return f"SELECT count(*) AS n FROM {table} WHERE trade_date BETWEEN %(start)s AND %(end)s"
