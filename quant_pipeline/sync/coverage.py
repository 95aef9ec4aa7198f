"""What a whole answer must hold: the measure against which an empty or short one is a failed call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.validation import Checked
from quant_pipeline.sources.base import Source
from quant_pipeline.sources.failures import Incomplete
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sync.periods import span_of
from quant_pipeline.sync.universe import Universe
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

MISSING_ALLOWED = 0.02
"""Share of the codes due that a session's answer may lack (the row-count check still names them)."""
MISSING_ALLOWED_HALTS_UNKNOWN = 0.6
"""The same where the session's suspensions were not synced: in July 2015 half of the market was halted at once."""
MISSING_ALLOWED_THIN = 0.5
"""The same in thin markets (funds, bonds, auctions), where not every code trades on every day."""
SHRINKING_ALLOWED = 0.02
"""A list that comes back shorter than the stored one by more than this share is taken for a cut answer."""
FEW = 2
"""So many rows may lack in any answer: odd listings."""

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

    A week or month owes a row of each code that could trade in one of its sessions. `listed`: ts_code, list_date,
    delist_date · `halted`: ts_code, trade_date · `halts_known`: sessions whose suspensions were synced.
    """

    dataset: Dataset
    calendar: Calendar
    listed: pl.DataFrame
    halted: pl.DataFrame
    halts_known: frozenset[dt.date]

    @classmethod
    def load(cls, database: Database, dataset: Dataset, calendar: Calendar, start: dt.date, end: dt.date) -> Due:
        """What the warehouse knows of the sessions (or periods that end) from `start` to `end`."""
        window = {"start": span_of(dataset, calendar, start)[0], "end": end}
        known = read_sql(database, _HALTS_KNOWN, window)
        return cls(
            dataset=dataset,
            calendar=calendar,
            listed=Universe.load(database, dataset).listed,
            halted=read_sql(database, _HALTED, window),
            halts_known=frozenset(known["trade_date"].to_list()),
        )

    def codes(self, session: dt.date) -> pl.Series:
        """The codes that owe a row labelled with the session, as far as is known."""
        sessions = span_of(self.dataset, self.calendar, session)
        span = pl.DataFrame({"trade_date": sessions})
        alive = (pl.col("list_date") <= session) & (pl.col("delist_date").is_null() | (pl.col("delist_date") > sessions[0]))
        listed = self.listed.filter(alive)
        if len(sessions) == 1:
            return _without(listed["ts_code"], self.halted.filter(pl.col("trade_date") == session)["ts_code"])
        could_trade = (pl.col("list_date") <= pl.col("trade_date")) & (
            pl.col("delist_date").is_null() | (pl.col("delist_date") > pl.col("trade_date"))
        )
        open_days = listed.join(span, how="cross").filter(could_trade)
        return open_days.join(self.halted, on=["ts_code", "trade_date"], how="anti")["ts_code"].unique().sort()

    def sessions(self, ts_code: str, sessions: Sequence[dt.date]) -> list[dt.date]:
        """Those of the sessions (labels) in which the code owes a row."""
        rows = self.listed.filter(pl.col("ts_code") == ts_code)
        if rows.is_empty():
            return []
        row = rows.row(0, named=True)
        halted = set(self.halted.filter(pl.col("ts_code") == ts_code)["trade_date"].to_list())
        last = row["delist_date"] or dt.date.max
        return [
            label
            for label in sessions
            if any(row["list_date"] <= day < last and day not in halted for day in span_of(self.dataset, self.calendar, label))
        ]

    def missing(self, session: dt.date, came: pl.Series) -> list[str]:
        """The codes due in the session that are not among those that came, in order."""
        return _without(self.codes(session), came).sort().to_list()

    def allowed(self, labels: Sequence[dt.date]) -> float:
        """The share of the rows due that an answer over these sessions may lack."""
        if self.dataset.coverage is not Coverage.MARKET:
            return MISSING_ALLOWED_THIN
        days = {day for label in labels for day in span_of(self.dataset, self.calendar, label)}
        return MISSING_ALLOWED if self.halts_known >= days else MISSING_ALLOWED_HALTS_UNKNOWN


def judge_rows(dataset: Dataset, unit: Unit, checked: Checked, due: Due, sessions: Sequence[dt.date], source: Source) -> None:
    """Raises Incomplete when an answer, its refused rows included, cannot be all that the unit owes.

    `sessions` are those (or the labels of the periods) that the unit spans. Codes that the source does not have at all are
    not held against it: their rows are asked of the next.
    """
    if dataset.coverage is Coverage.ANY:
        return
    if unit.grain is Grain.CODE:
        owed_days = due.sessions(unit.ts_code or "", sessions)
        came = set(checked.good["trade_date"].to_list())
        missing = [str(day) for day in owed_days if day not in came][checked.bad.height :]
        owed, what = len(owed_days), "sessions"
    else:
        if checked.good.is_empty():
            raise Incomplete(f"no good row came, though {unit.start} is a session")
        if not dataset.universe:
            return
        can_have = [code for code in due.codes(unit.start).to_list() if not source.lacks(dataset, code)]
        came_codes = pl.concat([checked.good["ts_code"], checked.bad["ts_code"].cast(pl.String)])
        missing = _without(pl.Series(can_have, dtype=pl.String), came_codes).sort().to_list()
        owed, what = len(can_have), "codes that should have traded"
    if owed and len(missing) > max(due.allowed(sessions) * owed, FEW):
        first = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise Incomplete(f"{len(missing)} of {owed} {what} are missing: {first}")


def judge_list(dataset: Dataset, rows: pl.DataFrame, stored: int) -> None:
    """Raises Incomplete when a list is empty, or much shorter than the stored one."""
    if rows.is_empty() and dataset.coverage is not Coverage.ANY:
        raise Incomplete("the list came empty")
    if rows.height < stored * (1 - SHRINKING_ALLOWED) - FEW:
        raise Incomplete(f"the list came with {rows.height} rows, the stored one has {stored}: a cut answer")


def _without(codes: pl.Series, others: pl.Series) -> pl.Series:
    return codes.filter(~codes.is_in(others.implode()))
