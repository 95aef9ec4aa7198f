"""What is kept of a session's quotes: how many, of which codes, from when to when, and when nothing came."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from quant_pipeline.quotes import hours
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

GAP = dt.timedelta(seconds=60)
"""So long no code had a new quote, while the exchange trades: nobody watched, or nobody polled."""
_BY_SOURCE = """
SELECT source, count(*) AS rows, count(DISTINCT ts_code) AS codes FROM intraday_quotes WHERE trade_date = %(day)s
GROUP BY source ORDER BY rows DESC, source
"""
_TIMES = "SELECT DISTINCT quote_time FROM intraday_quotes WHERE trade_date = %(day)s ORDER BY quote_time"
_CODES = "SELECT count(DISTINCT ts_code) AS codes FROM intraday_quotes WHERE trade_date = %(day)s"
# The last quote of each code, and the day's bar where it is there. A quote that came before the close is no day's end.
_ENDS = """
SELECT last.trade_date, last.ts_code, quote_time, price AS close_quoted, last.high AS high_quoted, last.low AS low_quoted,
       volume / 100.0::float8 AS vol_quoted, bar.close, bar.high, bar.low, bar.vol,
       quote_time >= %(close)s AS whole, bar.ts_code IS NOT NULL AS bar
FROM (
    SELECT DISTINCT ON (trade_date, ts_code) * FROM intraday_quotes WHERE trade_date = ANY(%(days)s::date[])
    ORDER BY trade_date, ts_code, quote_time DESC
) AS last LEFT JOIN daily_kline AS bar USING (trade_date, ts_code)
WHERE last.status <> 'suspended' AND (
    bar.ts_code IS NOT NULL OR EXISTS (SELECT FROM stock_list WHERE stock_list.ts_code = last.ts_code)
)
ORDER BY trade_date, ts_code
"""


@dataclass(frozen=True)
class Recorded:
    """A session's kept quotes. `by_source`: source, rows, codes, the most first."""

    rows: int
    codes: int
    first: dt.time | None
    last: dt.time | None
    by_source: pl.DataFrame
    gaps: Sequence[tuple[dt.time, dt.time]]
    """From when to when no code had a new quote for a minute or more of continuous trading."""


def recorded(database: Database, session: dt.date) -> Recorded:
    """What is kept of the session."""
    given = {"day": session}
    by_source = read_sql(database, _BY_SOURCE, given)
    times = [dt.time.fromisoformat(at) for at in read_sql(database, _TIMES, given)["quote_time"]]
    return Recorded(
        rows=int(by_source["rows"].sum()),
        codes=int(read_sql(database, _CODES, given).item()),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        by_source=by_source,
        gaps=list(_gaps(times)),
    )


def ends(database: Database, sessions: Sequence[dt.date]) -> pl.DataFrame:
    """A row per session and share: its last kept quote beside the day's bar: trade_date, ts_code, quote_time, close_quoted,
    high_quoted, low_quoted, vol_quoted [手], close, high, low, vol [手]; `whole`: the quote is of the close or later; `bar`:
    there is a bar. Suspended shares have no end."""
    return read_sql(database, _ENDS, {"days": list(sessions), "close": f"{hours.CLOSE:%H:%M:%S}"})


def _gaps(times: Sequence[dt.time]) -> Iterator[tuple[dt.time, dt.time]]:
    for start, end in hours.CONTINUOUS:
        within = [at for at in times if start < at < end]
        for before, after in zip([start, *within], [*within, end], strict=True):
            if _seconds(after) - _seconds(before) >= GAP.total_seconds():
                yield before, after


def _seconds(at: dt.time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second
