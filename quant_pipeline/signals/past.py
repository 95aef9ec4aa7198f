"""Decisions of all sessions, page by page: the history of what was followed and what was not."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

import polars as pl

from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_CHOSEN = """
FROM signal_decisions
WHERE (%(start)s::date IS NULL OR decided_on >= %(start)s) AND (%(end)s::date IS NULL OR decided_on <= %(end)s)
  AND (%(ts_code)s::text IS NULL OR ts_code = %(ts_code)s) AND (%(strategy)s::text IS NULL OR strategy = %(strategy)s)
  AND (NOT %(conflicts)s OR conflict IS NOT NULL)
"""
_ROWS = f"""
SELECT decided_on, trade_date, strategy, ts_code, direction, decision, conflict, against, policy, reason {_CHOSEN}
ORDER BY decided_on DESC, ts_code, strategy, direction, trade_date DESC LIMIT %(limit)s OFFSET %(offset)s
"""


@dataclass(frozen=True)
class Wanted:
    """Which decisions: those made from `start` to `end`, of a code, of a strategy; `conflicts`: only contested ones."""

    start: dt.date | None = None
    end: dt.date | None = None
    ts_code: str | None = None
    strategy: str | None = None
    conflicts: bool = False


def decisions(database: Database, wanted: Wanted, *, limit: int, offset: int = 0) -> pl.DataFrame:
    """The newest first: decided_on, trade_date, strategy, ts_code, direction, decision, conflict, against, policy, reason."""
    return read_sql(database, _ROWS, asdict(wanted) | {"limit": limit, "offset": offset})


def count(database: Database, wanted: Wanted) -> int:
    """How many there are."""
    return int(read_sql(database, f"SELECT count(*) {_CHOSEN}", asdict(wanted)).item())
