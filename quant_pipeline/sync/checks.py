"""The checks of a data set: what must hold in the warehouse, beyond what a single row can show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

_CHUNK = 250
"""Sessions looked at in one query: it bounds the memory of a check over a long range."""
MISSING_TOLERATED = 0.002
"""Share of the codes due that may lack a row where the session's halts are known (odd listings; named all the same)."""
MISSING_TOLERATED_HALTS_UNKNOWN = 0.01
"""The same where no suspension at all is stored for the session: on most sessions a handful of codes is halted."""


@dataclass(frozen=True)
class Verdict:
    """A check's result: what was looked at, and the offending rows (at most a page of them)."""

    passed: bool
    text: str
    looked_at: int = 0
    offending: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True)
class Scope:
    """What a check looks at: a data set's rows of some sessions, in a database, by a calendar."""

    database: Database
    dataset: Dataset
    sessions: Sequence[dt.date]
    calendar: Calendar

    def chunks(self) -> Iterator[Sequence[dt.date]]:
        for first in range(0, len(self.sessions), _CHUNK):
            yield self.sessions[first : first + _CHUNK]


@dataclass(frozen=True)
class Check:
    """A named check. `warns`: failing it is a warning, not an error."""

    name: str
    zh: str
    doc: str
    judge: Callable[[Scope], Verdict]
    warns: bool = False


def checks_of(dataset: Dataset) -> tuple[Check, ...]:
    """The checks that the data set's spec calls for."""
    checks: list[Check] = []
    if dataset.rules:
        checks.append(ROWS_SANE)
    if dataset.dated:
        checks += [NO_CLOSED_DAY, NO_FUTURE_ROW, FRESH]
        if dataset.coverage is Coverage.MARKET:
            checks.append(ROW_COUNT)
    if dataset is DAILY_KLINE:
        checks += [WITHIN_PRICE_LIMITS, PRE_CLOSE_CHAIN]
    return tuple(checks)


_MISSING = """
WITH due AS (
    SELECT day.trade_date, stock_list.ts_code,
           EXISTS (SELECT FROM suspensions WHERE suspensions.trade_date = day.trade_date) AS halts_known
    FROM unnest(%(sessions)s::date[]) AS day (trade_date)
    JOIN stock_list ON stock_list.list_date <= day.trade_date AND stock_list.list_status <> 'P'
        AND (stock_list.delist_date IS NULL OR stock_list.delist_date > day.trade_date)
    WHERE NOT EXISTS (
        SELECT FROM suspensions WHERE suspensions.ts_code = stock_list.ts_code
        AND suspensions.trade_date = day.trade_date AND suspend_type = 'S' AND suspend_timing IS NULL)
)
SELECT due.trade_date, count(*) AS due, count(*) FILTER (WHERE have.ts_code IS NULL) AS missing,
       bool_or(halts_known) AS halts_known,
       coalesce((array_agg(due.ts_code ORDER BY due.ts_code) FILTER (WHERE have.ts_code IS NULL))[1:5]::text, '') AS first
FROM due LEFT JOIN {table} AS have USING (ts_code, trade_date)
GROUP BY due.trade_date ORDER BY due.trade_date
"""


def _row_count(scope: Scope) -> Verdict:
    query = _MISSING.format(table=scope.dataset.name)
    counts = pl.concat([read_sql(scope.database, query, {"sessions": list(chunk)}) for chunk in scope.chunks()])
    if counts.is_empty():
        return Verdict(True, "no stock list to count against")
    tolerated = pl.when("halts_known").then(MISSING_TOLERATED).otherwise(MISSING_TOLERATED_HALTS_UNKNOWN)
    short = counts.filter(pl.col("missing") > tolerated * pl.col("due"))
    looked_at, missing = int(counts["due"].sum()), int(counts["missing"].sum())
    return Verdict(short.is_empty(), f"{missing} of {looked_at} rows due are missing", looked_at, short)


def _rows_sane(scope: Scope) -> Verdict:
    looked_at, broken = 0, []
    for rows in _rows(scope):
        looked_at += rows.height
        for rule in scope.dataset.rules:
            bad = rows.filter(~rule.holds().fill_null(True))
            if not bad.is_empty():
                broken.append(bad.head(20).with_columns(pl.lit(rule.name).alias("rule")))
    offending = pl.concat(broken).head(50) if broken else pl.DataFrame()
    return Verdict(not broken, f"{looked_at} rows keep {len(scope.dataset.rules)} rules", looked_at, offending)


def _rows(scope: Scope) -> Iterator[pl.DataFrame]:
    if not scope.dataset.dated:
        yield read(scope.database, scope.dataset)
        return
    for chunk in scope.chunks():
        yield read(scope.database, scope.dataset, start=chunk[0], end=chunk[-1])


_DAYS = """
WITH RECURSIVE day AS (
    SELECT min(trade_date) AS trade_date FROM {table}
    UNION ALL
    SELECT (SELECT min(trade_date) FROM {table} WHERE trade_date > day.trade_date) FROM day WHERE day.trade_date IS NOT NULL
)
SELECT trade_date FROM day WHERE trade_date IS NOT NULL
"""


def _no_closed_day(scope: Scope) -> Verdict:
    days = read_sql(scope.database, _DAYS.format(table=scope.dataset.name))
    closed = days.filter(~pl.col("trade_date").is_in(list(scope.calendar.sessions)))
    return Verdict(closed.is_empty(), f"{closed.height} closed days have rows", days.height, closed.head(50))


def _no_future_row(scope: Scope) -> Verdict:
    last = _last(scope)
    ahead = last is not None and last > scope.calendar.latest()
    return Verdict(not ahead, f"last row: {last}, latest session: {scope.calendar.latest()}", 1)


def _fresh(scope: Scope) -> Verdict:
    # Where a session may rightly have no row, only the ledger knows that it was asked for.
    last = _last_synced(scope) if scope.dataset.coverage is Coverage.ANY else _last(scope)
    due = scope.calendar.latest()
    if last is None:
        return Verdict(False, f"nothing is synced yet; the latest session is {due}")
    try:
        behind = len(scope.calendar.between(last, due)) - 1
    except CalendarError as error:
        return Verdict(False, str(error))
    return Verdict(behind <= 0, f"synced up to {last}, {max(behind, 0)} sessions behind", 1)


def _last(scope: Scope) -> dt.date | None:
    found: dt.date | None = read_sql(scope.database, f"SELECT max(trade_date) AS last FROM {scope.dataset.name}").item()
    return found


def _last_synced(scope: Scope) -> dt.date | None:
    query = "SELECT max(trade_date) AS last FROM sync_items WHERE dataset = %(dataset)s AND status = 'success'"
    found: dt.date | None = read_sql(scope.database, query, {"dataset": scope.dataset.name}).item()
    return found


_OUTSIDE_LIMITS = """
SELECT k.ts_code, k.trade_date, k.close, k.pre_close, l.down_limit, l.up_limit
FROM daily_kline AS k JOIN price_limits AS l USING (ts_code, trade_date)
WHERE k.trade_date BETWEEN %(start)s AND %(end)s AND l.up_limit > 0
  AND (k.close > l.up_limit + 0.005 OR k.close < l.down_limit - 0.005)
ORDER BY k.trade_date, k.ts_code
"""
_LIMITED = """
SELECT count(*) AS n FROM daily_kline JOIN price_limits USING (ts_code, trade_date)
WHERE trade_date BETWEEN %(start)s AND %(end)s
"""


def _within_price_limits(scope: Scope) -> Verdict:
    return _by_queries(scope, _OUTSIDE_LIMITS, _LIMITED, "closes lie outside their limits")


_CHAIN = """
WITH bars AS (
    SELECT ts_code, trade_date, pre_close, close, adj_factor,
           lag(close * adj_factor) OVER code / adj_factor AS expected
    FROM daily_kline JOIN adj_factor USING (ts_code, trade_date)
    WHERE trade_date BETWEEN %(start)s::date - 120 AND %(end)s
    WINDOW code AS (PARTITION BY ts_code ORDER BY trade_date)
)
"""
_TOLERANCE = "greatest(0.011, 0.002 * pre_close)"
_BROKEN_CHAIN = f"""{_CHAIN}
SELECT ts_code, trade_date, pre_close, round(expected::numeric, 3)::float8 AS expected FROM bars
WHERE trade_date >= %(start)s AND abs(pre_close - expected) > {_TOLERANCE}
ORDER BY trade_date, ts_code
"""
_CHAINED = f"{_CHAIN} SELECT count(*) AS n FROM bars WHERE trade_date >= %(start)s AND expected IS NOT NULL"


def _pre_close_chain(scope: Scope) -> Verdict:
    return _by_queries(scope, _BROKEN_CHAIN, _CHAINED, "pre_close break the chain of close and adj_factor")


def _by_queries(scope: Scope, offending: str, looked_at: str, what: str) -> Verdict:
    rows, seen = [], 0
    for chunk in scope.chunks():
        window = {"start": chunk[0], "end": chunk[-1]}
        rows.append(read_sql(scope.database, offending, window))
        seen += int(read_sql(scope.database, looked_at, window).item())
    found = pl.concat(rows) if rows else pl.DataFrame()
    return Verdict(found.is_empty(), f"{found.height} of {seen} {what}", seen, found.head(50))


ROWS_SANE = Check("rows_sane", "逐行合理", "Every row keeps the data set's rules (OHLC in order, units, …).", _rows_sane)
NO_CLOSED_DAY = Check("no_closed_day", "休市日无数据", "No row lies on a day when the exchange was closed.", _no_closed_day)
NO_FUTURE_ROW = Check("no_future_row", "无未来数据", "No row is later than the latest session.", _no_future_row)
FRESH = Check("fresh", "数据最新", "The latest session is there.", _fresh, warns=True)
ROW_COUNT = Check("row_count", "行数完整", "Every listed code that was not suspended has its row in each session.", _row_count)
WITHIN_PRICE_LIMITS = Check(
    "within_price_limits", "收盘价在涨跌停内", "No close lies outside the session's limit prices.", _within_price_limits
)
PRE_CLOSE_CHAIN = Check(
    "pre_close_chain",
    "昨收与复权因子一致",
    "pre_close = last close x last factor / factor: no gap, no spliced adjustment, no missed ex-date.",
    _pre_close_chain,
)
