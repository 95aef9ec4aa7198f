"""The roster: who owes a row of a data set, in which session, and how much of that may lack.

Acceptance, gaps, plans, repair and the completeness checks all ask here, so that they cannot disagree.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.codes import board_of
from quant_pipeline.market.dataset import Coverage, Dataset, Partition
from quant_pipeline.market.datasets import DATASETS
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.periods import span_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

if TYPE_CHECKING:
    from quant_pipeline.sources.base import Source

SHORT_ABOVE = 0.02
"""An answer that lacks more than this share of the rows due is no answer."""
SHORT_ABOVE_HALTS_UNKNOWN = 0.6
"""The same where the session's suspensions were not synced: in July 2015 half of the market was halted at once."""
SHORT_ABOVE_THIN = 0.5
"""The same in thin markets (funds, bonds, auctions), where not every code trades on every day."""
FEW = 2
"""So many rows may lack in an answer for a whole market: odd listings. It never forgives a whole answer."""
CHUNK = 250
"""Sessions whose rows are counted at once: it bounds the memory of a long range."""

_CHUNK = {Partition.WEEK: 50, Partition.MONTH: 12}
_REMEMBERED = 64
"""Sessions whose codes are kept: an answer is judged by them, and its gaps are counted by them."""
_KEY = ["ts_code", "trade_date"]
_HALTED = """
SELECT DISTINCT ts_code, trade_date FROM suspensions
WHERE suspend_type = 'S' AND suspend_timing IS NULL AND trade_date BETWEEN %(start)s AND %(end)s
"""
_HALTS_KNOWN = """
SELECT DISTINCT unit, ts_code FROM sync_items
WHERE dataset = 'suspensions' AND status = 'success' AND right(unit, 10)::date >= %(start)s
  AND (ts_code IS NOT NULL OR trade_date <= %(end)s)
"""
_FIRST_DAY = {"index_list": "coalesce(list_date, base_date + 1)"}
"""The first day on which a code of the list owes a row, where that is not `list_date`: an index since it is published."""
_BACK_TO = {"index_list": "least(list_date, base_date + 1)"}
"""Since when a code of the list may have rows that it does not owe: an index counted back to its base, by some sources."""
_END = {"index_list": "exp_date + 1"}
"""The first day on which it owes none any more, where that is not `delist_date`."""

Span = tuple[dt.date, dt.date]


@dataclass(frozen=True)
class Roster:
    """Who owes a row: every code that its lists name, in its time, but for the sessions for which it was suspended.

    A week or month owes a row of each code that could trade in one of its sessions. `listed`: ts_code, list_date, delist_date
    (from which on it owes nothing) of every code, in order; those whose first day is not known and paused shares are left
    out · `halted`: ts_code, trade_date of whole-day halts · `halts_known`: sessions whose suspensions were synced ·
    `halts_known_of`: code -> ranges over which its own were.
    """

    dataset: Dataset
    calendar: Calendar
    listed: pl.DataFrame
    halted: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"ts_code": pl.String, "trade_date": pl.Date}))
    halts_known: frozenset[dt.date] = frozenset()
    halts_known_of: dict[str, list[Span]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    """Every code that the lists name, with or without a first day."""
    back_to: dict[str, dt.date] = field(default_factory=dict)
    """The codes that may have rows before they owe any -> since when: they are asked for them, and need not have them."""
    _codes: dict[dt.date, pl.Series] = field(default_factory=dict, compare=False, repr=False)
    _lacked: dict[str, pl.Series] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def load(
        cls, database: Database, dataset: Dataset, calendar: Calendar, start: dt.date | None = None, end: dt.date | None = None
    ) -> Roster:
        """What the warehouse knows; halts only of the labels from `start` to `end`, where these are given."""
        none = pl.DataFrame(schema={"ts_code": pl.String, "list_date": pl.Date, "delist_date": pl.Date, "back_to": pl.Date})
        listed = [none, *(read_sql(database, _lives(DATASETS[name])) for name in _dated_lists(dataset))]
        found = pl.concat(listed)
        if dataset.codes:
            found = found.filter(pl.col("ts_code").is_in(dataset.codes))
        if dataset.boards:
            found = found.filter(board_of(pl.col("ts_code")).is_in([board.value for board in dataset.boards]))
        named = [read_sql(database, f"SELECT ts_code FROM {name}")["ts_code"] for name in dataset.universe]
        known = frozenset(code for codes in named for code in codes)
        dated = found.drop_nulls("list_date").sort("ts_code")
        earlier = dated.filter(pl.col("back_to") < pl.col("list_date")).select("ts_code", "back_to")
        lives, back_to = dated.drop("back_to"), dict(earlier.iter_rows())
        roster = cls(dataset, calendar, lives, known=known, back_to=back_to)
        if start is None or end is None:
            return roster
        window = {"start": span_of(dataset, calendar, start)[0], "end": end}
        synced = read_sql(database, _HALTS_KNOWN, window)
        sessions, of_codes = _halts_known(synced)
        halted = read_sql(database, _HALTED, window)
        return cls(dataset, calendar, lives, halted, frozenset(sessions), of_codes, known, back_to)

    # --- who owes ----------------------------------------------------------------------------------------------------

    def codes(self, label: dt.date) -> pl.Series:
        """The codes that owe a row labelled with the session, in order."""
        if label not in self._codes:
            if len(self._codes) > _REMEMBERED:
                self._codes.clear()
            self._codes[label] = self.due([label])["ts_code"] if self.dataset.periodic else self._on(label)
        return self._codes[label]

    def _on(self, session: dt.date) -> pl.Series:
        """The codes that owe a row of that one day, as `due` has them, without a join: every answer is judged by it."""
        alive = self.listed.filter(_alive(pl.lit(session)))["ts_code"]
        halted = self._halted_on.get((session,))
        return alive if halted is None else alive.filter(~alive.is_in(halted["ts_code"].implode()))

    @cached_property
    def _halted_on(self) -> dict[tuple[object, ...], pl.DataFrame]:
        return self.halted.partition_by("trade_date", as_dict=True) if self.halted.height else {}

    def lacked_by(self, source: Source) -> pl.Series:
        """The listed codes that the source does not have at all."""
        if source.name not in self._lacked:
            lacked = [code for code in self.listed["ts_code"] if source.lacks(self.dataset, code)]
            self._lacked[source.name] = pl.Series(lacked, dtype=pl.String)
        return self._lacked[source.name]

    def due(self, labels: Sequence[dt.date]) -> pl.DataFrame:
        """trade_date (the label), ts_code of every row that is due under these labels."""
        spans = {label: span_of(self.dataset, self.calendar, label) for label in labels}
        days = pl.DataFrame(
            [(label, day) for label, span in spans.items() for day in span],
            schema={"trade_date": pl.Date, "day": pl.Date},
            orient="row",
        )
        halts = self.halted.select("ts_code", day="trade_date").filter(pl.col("day").is_in(days["day"].implode()))
        listed = self.listed.join(days, how="cross").filter(_alive(pl.col("day")))
        due = listed.join(halts, on=["ts_code", "day"], how="anti").select("trade_date", "ts_code")
        return (due.unique() if self.dataset.periodic else due).sort("trade_date", "ts_code")

    def sessions(self, ts_code: str, labels: Sequence[dt.date]) -> list[dt.date]:
        """Those of the labels under which the code owes a row, in order."""
        of_code = Roster(
            self.dataset,
            self.calendar,
            self.listed.filter(pl.col("ts_code") == ts_code),
            self.halted.filter(pl.col("ts_code") == ts_code),
        )
        return of_code.due(labels)["trade_date"].to_list() if of_code.listed.height and labels else []

    def listed_between(self, start: dt.date, end: dt.date) -> list[str]:
        """The codes that may have rows of some day from `start` to `end`: whom to ask for one by one."""
        since = pl.col("ts_code").replace_strict(self.back_to, default=pl.col("list_date"), return_dtype=pl.Date)
        alive = (since <= end) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > start))
        return self.listed.filter(alive)["ts_code"].to_list()

    def too_early(self, label: dt.date) -> bool:
        """Whether there can be no row of that session (week, month): the data set began later, or its first code did. False
        where the lists that would say so are not there."""
        firsts = [day for day in (self.dataset.first, self._first_of_codes) if day is not None]
        return any(label < day for day in firsts)

    @cached_property
    def _first_of_codes(self) -> dt.date | None:
        return min([*self.listed["list_date"], *self.back_to.values()], default=None)

    def rows_on(self, labels: Sequence[dt.date]) -> list[int]:
        """How many codes were listed on each of the days: about as many rows has its answer."""
        came = sorted(self.listed["list_date"].to_list())
        went = sorted(self.listed["delist_date"].drop_nulls().to_list())
        return [bisect.bisect_right(came, day) - bisect.bisect_right(went, day) for day in labels]

    def rows_of(self, codes: Sequence[str], labels: Sequence[dt.date]) -> list[int]:
        """On how many of the days (in order) each of the codes was listed; on all, when its life is not known."""
        lives = {code: (first, end or dt.date.max) for code, first, end in self.listed.iter_rows()}
        always = (dt.date.min, dt.date.max)
        spans = (lives.get(code, always) for code in codes)
        return [bisect.bisect_left(labels, end) - bisect.bisect_left(labels, first) for first, end in spans]

    def unknown(self, codes: Collection[str]) -> list[str]:
        """Those of the codes that no list names; none while the lists are empty."""
        return sorted(set(codes) - self.known - set(self.dataset.codes)) if self.known else []

    def whole_for(self, source: Source, labels: Sequence[dt.date]) -> frozenset[dt.date]:
        """The labels under which the source can have every code that owes a row."""
        of_others = self.listed.filter(pl.col("ts_code").is_in(self.lacked_by(source).implode()))
        counts = Roster(self.dataset, self.calendar, of_others).rows_on(labels)
        return frozenset(label for label, count in zip(labels, counts, strict=True) if count == 0)

    # --- what lacks --------------------------------------------------------------------------------------------------

    def missing(self, label: dt.date, came: pl.Series) -> list[str]:
        """The codes due under the label that are not among those that came, in order."""
        due = self.codes(label)
        return due.filter(~due.is_in(came.implode())).to_list()

    def stored(self, database: Database, labels: Sequence[dt.date]) -> Iterator[pl.DataFrame]:
        """Every row due under the labels against what is stored, some sessions at a time.

        trade_date, ts_code, missing (whether it is not stored).
        """
        size = _CHUNK.get(self.dataset.partition, CHUNK)
        for first in range(0, len(labels), size):
            chunk = labels[first : first + size]
            have = read(database, self.dataset, start=min(chunk), end=max(chunk), columns=_KEY).with_columns(missing=False)
            due = self._confirmed(database, chunk).join(have, on=_KEY, how="left")
            yield due.with_columns(pl.col("missing").fill_null(True))

    def _confirmed(self, database: Database, labels: Sequence[dt.date]) -> pl.DataFrame:
        """The rows due; of weeks and months that have daily bars, only those of codes that have one."""
        due = self.due(labels)
        if not self.dataset.periodic:
            return due
        spans = [(label, day) for label in labels for day in span_of(self.dataset, self.calendar, label)]
        days = pl.DataFrame(spans, schema={"label": pl.Date, "trade_date": pl.Date}, orient="row")
        first, last = min(day for _, day in spans), max(labels)
        bars = read(database, DATASETS["daily_kline"], start=first, end=last, columns=_KEY).join(days, on="trade_date")
        traded = bars.select("ts_code", trade_date="label").unique()
        silent = ~pl.col("trade_date").is_in(traded["trade_date"].unique().implode())
        return pl.concat([due.filter(silent), due.join(traded, on=_KEY, how="semi")]).sort("trade_date", "ts_code")

    def may_lack(self, labels: Sequence[dt.date], owed: int, ts_code: str | None = None) -> int:
        """How many of the rows due an answer over these labels (for all codes, or for one) may lack; never all of them."""
        match self.dataset.coverage:
            case Coverage.EVERY:
                allowed = int(SHORT_ABOVE * owed)
            case Coverage.MARKET:
                share = SHORT_ABOVE if self.knows_halts(labels, ts_code) else SHORT_ABOVE_HALTS_UNKNOWN
                allowed = max(int(share * owed), FEW)
            case _:
                allowed = max(int(SHORT_ABOVE_THIN * owed), FEW)
        return max(min(allowed, owed - 1), 0)

    def knows_halts(self, labels: Sequence[dt.date], ts_code: str | None = None) -> bool:
        """Whether the suspensions of all sessions behind the labels are known, or at least those of the code."""
        days = {day for label in labels for day in span_of(self.dataset, self.calendar, label)} - self.halts_known
        spans = self.halts_known_of.get(ts_code, []) if ts_code is not None else []
        return all(any(first <= day <= last for first, last in spans) for day in days)


def _alive(day: pl.Expr) -> pl.Expr:
    return (pl.col("list_date") <= day) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > day))


def groups(database: Database, dataset: Dataset) -> list[str]:
    """The concepts and industries whose members are asked for one by one, in order."""
    queries = " UNION ".join(f"SELECT ts_code FROM {name}" for name in dataset.universe)
    return read_sql(database, f"{queries} ORDER BY ts_code")["ts_code"].to_list()


def _dated_lists(dataset: Dataset) -> list[str]:
    """The lists of the universe whose codes have lives."""
    return [name for name in dataset.universe if "list_date" in DATASETS[name].column_names]


def _lives(universe: Dataset) -> str:
    names = universe.column_names
    first = _FIRST_DAY.get(universe.name, "list_date")
    end = _END.get(universe.name, "delist_date" if "delist_date" in names else "NULL::date")
    paused = " WHERE list_status <> 'P'" if "list_status" in names else ""
    back_to = _BACK_TO.get(universe.name, "NULL")
    return (
        f"SELECT ts_code, ({first})::date AS list_date, ({end})::date AS delist_date, ({back_to})::date AS back_to "
        f"FROM {universe.name}{paused}"
    )


def _halts_known(synced: pl.DataFrame) -> tuple[list[dt.date], dict[str, list[Span]]]:
    sessions: list[dt.date] = []
    of_codes: dict[str, list[Span]] = {}
    for name, ts_code in synced.iter_rows():
        unit = Unit.parse(name, snapshot=False)
        if unit.grain is Grain.CODE:
            of_codes.setdefault(ts_code, []).append((unit.start, unit.end))
        else:
            sessions.append(unit.start)
    return sessions, of_codes
