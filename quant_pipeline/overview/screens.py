"""Screens by session: which ran when, and a session's hits beside those of the session before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from quant_pipeline.market.adjustment import adjust
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql
from quant_pipeline.warehouse.screenings import Compared

_SESSIONS = """
SELECT screen, trade_date, count(hit.ts_code) AS hits
FROM (SELECT screen, trade_date FROM screenings UNION SELECT screen, trade_date FROM screen_results) AS screened
LEFT JOIN screen_results AS hit USING (screen, trade_date)
GROUP BY screen, trade_date ORDER BY trade_date
"""


@dataclass(frozen=True)
class ScreenSession:
    """A screen's session. `hits`: rows of screen_results, the best first · `compared`: with the session `before` it; null:
    that was not screened · `earlier`, `later`: the sessions beside it that were screened · `screened`: whether this one was."""

    hits: pl.DataFrame
    before: dt.date
    compared: Compared | None
    earlier: dt.date | None
    later: dt.date | None
    screened: bool


def screened_sessions(database: Database) -> pl.DataFrame:
    """Every session that a screen ran for, the oldest first, those without hits too: screen, trade_date, hits."""
    return read_sql(database, _SESSIONS)


def screen_session(
    database: Database, calendar: Calendar, name: str, session: dt.date, screened: Sequence[dt.date]
) -> ScreenSession:
    """`screened`: the sessions that the screen ran for, the oldest first."""
    found, before = _hits(database, name, session), calendar.shift(session, -1)
    former = _hits(database, name, before).select("ts_code", pl.coalesce("name", "ts_code")) if before in screened else None
    return ScreenSession(
        hits=found,
        before=before,
        compared=None if former is None else Compared.of(found["ts_code"], dict(former.iter_rows())),
        earlier=max((each for each in screened if each < session), default=None),
        later=min((each for each in screened if each > session), default=None),
        screened=session in screened,
    )


def last_closes(database: Database, codes: Sequence[str], session: dt.date, count: int) -> dict[str, list[float]]:
    """Code -> its last `count` closes up to the session, adjusted (qfq); fewer of one that was halted for long."""
    start = session - dt.timedelta(days=2 * count)
    bars = read(database, DAILY_KLINE, start=start, end=session, codes=codes, columns=["ts_code", "trade_date", "close"])
    factors = read(database, ADJ_FACTOR, start=start, end=session, codes=codes)
    adjusted = adjust(bars, factors, "qfq").drop_nulls("close")
    return {
        str(code): rows["close"].tail(count).to_list()
        for (code,), rows in adjusted.group_by("ts_code", maintain_order=True)
    }  # fmt: skip


def _hits(database: Database, name: str, session: dt.date) -> pl.DataFrame:
    """The session's hits, the best first; of older rows, which have no industry of their own, today's."""
    rows = read(database, SCREEN_RESULTS, start=session, end=session).filter(pl.col("screen") == name)
    listed = read(database, STOCK_LIST, codes=rows["ts_code"].to_list(), columns=["ts_code", "industry"])
    known = rows.join(listed, on="ts_code", how="left", suffix="_today").sort("score", descending=True, nulls_last=True)
    return known.with_columns(pl.coalesce("industry", "industry_today").alias("industry"))
