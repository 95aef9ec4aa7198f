"""What a whole answer must hold: the measure against which an empty or short one is a failed call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.validation import Checked
from quant_pipeline.sources.failures import Incomplete
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

MISSING_ALLOWED = 0.02
"""Share of the codes due that a session's answer may lack (the row-count check still names them)."""
MISSING_ALLOWED_HALTS_UNKNOWN = 0.6
"""The same where the session's suspensions were not synced: in July 2015 half of the market was halted at once."""
SHRINKING_ALLOWED = 0.02
"""A list that comes back shorter than the stored one by more than this share is taken for a cut answer."""

_LISTED = "SELECT ts_code, list_date, delist_date FROM stock_list WHERE list_date IS NOT NULL AND list_status <> 'P'"
_HALTED = """
SELECT ts_code, trade_date FROM suspensions
WHERE suspend_type = 'S' AND suspend_timing IS NULL AND trade_date BETWEEN %(start)s AND %(end)s
"""
_HALTS_KNOWN = """
SELECT DISTINCT trade_date FROM sync_items
WHERE dataset = 'suspensions' AND status = 'success' AND trade_date BETWEEN %(start)s AND %(end)s
"""


@dataclass(frozen=True)
class Due:
    """Which codes owe a row in which session: listed, and not suspended for the whole of it.

    `listed`: ts_code, list_date, delist_date · `halted`: ts_code, trade_date · `halts_known`: sessions whose
    suspensions were synced.
    """

    listed: pl.DataFrame
    halted: pl.DataFrame
    halts_known: frozenset[dt.date]

    @classmethod
    def load(cls, database: Database, start: dt.date, end: dt.date) -> Due:
        """What the warehouse knows of the sessions from `start` to `end`."""
        window = {"start": start, "end": end}
        known = read_sql(database, _HALTS_KNOWN, window)
        return cls(
            listed=read_sql(database, _LISTED),
            halted=read_sql(database, _HALTED, window),
            halts_known=frozenset(known["trade_date"].to_list()),
        )

    def codes(self, session: dt.date) -> pl.Series:
        """The codes that owe a row in the session, as far as is known."""
        alive = (pl.col("list_date") <= session) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > session))
        listed = self.listed.filter(alive)["ts_code"]
        halted = self.halted.filter(pl.col("trade_date") == session)["ts_code"]
        return listed.filter(~listed.is_in(halted.implode()))

    def sessions(self, ts_code: str, sessions: Sequence[dt.date]) -> list[dt.date]:
        """Those of the sessions in which the code owes a row."""
        row = self.listed.row(by_predicate=pl.col("ts_code") == ts_code, named=True) if self._lists(ts_code) else None
        if row is None:
            return []
        halted = set(self.halted.filter(pl.col("ts_code") == ts_code)["trade_date"].to_list())
        last = row["delist_date"] or dt.date.max
        return [day for day in sessions if row["list_date"] <= day < last and day not in halted]

    def _lists(self, ts_code: str) -> bool:
        return ts_code in self.listed["ts_code"]


def judge_rows(dataset: Dataset, unit: Unit, checked: Checked, due: Due, sessions: Sequence[dt.date]) -> None:
    """Raises Incomplete when an answer, its refused rows included, cannot be all that the unit owes.

    `sessions` are those that the unit spans.
    """
    if dataset.coverage is Coverage.ANY:
        return
    if unit.grain is Grain.CODE:
        owed = due.sessions(unit.ts_code or "", sessions)
        came = set(checked.good["trade_date"].to_list())
        missing = [str(day) for day in owed if day not in came][checked.bad.height :]
        halts_known = due.halts_known.issuperset(sessions)
    else:
        if checked.good.is_empty():
            raise Incomplete(f"no good row came, though {unit.start} is a session")
        owed_codes = due.codes(unit.start)
        owed = owed_codes.to_list()
        came_codes = pl.concat([checked.good["ts_code"], checked.bad["ts_code"].cast(pl.String)])
        missing = owed_codes.filter(~owed_codes.is_in(came_codes.implode())).sort().to_list()
        halts_known = unit.start in due.halts_known
    allowed = MISSING_ALLOWED if halts_known else MISSING_ALLOWED_HALTS_UNKNOWN
    if owed and len(missing) > max(allowed * len(owed), 2):
        first = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        what = "sessions" if unit.grain is Grain.CODE else "codes that should have traded"
        raise Incomplete(f"{len(missing)} of {len(owed)} {what} are missing: {first}")


def judge_snapshot(dataset: Dataset, rows: pl.DataFrame, stored: int) -> None:
    """Raises Incomplete when a list is empty, much shorter than the stored one, or (a calendar) lacks days."""
    if rows.is_empty():
        raise Incomplete("the list came empty")
    if rows.height < stored * (1 - SHRINKING_ALLOWED):
        raise Incomplete(f"the list came with {rows.height} rows, the stored one has {stored}: a cut answer")
    if dataset.coverage is Coverage.DAYS:
        days = rows["cal_date"].unique()
        first, last = days.min(), days.max()
        assert isinstance(first, dt.date)
        assert isinstance(last, dt.date)
        lacking = (last - first).days + 1 - len(days)
        if lacking:
            raise Incomplete(f"{lacking} days from {first} to {last} are missing: a cut answer")
