"""Completeness: which rows are due, by session and board, and which of them are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from quant_pipeline.market.codes import board_of
from quant_pipeline.market.datasets import SUSPENSIONS
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.sync.universe import Universe
from quant_pipeline.warehouse.reads import read, read_sql

MISSING_TOLERATED = 0.002
"""Share of the codes due that may lack a row where the session's halts are known (odd listings; named all the same)."""
MISSING_TOLERATED_HALTS_UNKNOWN = 0.01
"""The same where no suspension at all is stored for the session: on most sessions a handful of codes is halted."""
MISSING_TOLERATED_THIN = 0.3
"""The same in thin markets (funds, bonds, auctions), where not every code trades on every day."""
BOARD_MISSING_TOLERATED = 0.05
"""Share of one board that may be missing, or twice the session's where that is more: a board that is lost is a twentieth
of the market, and no odd listing."""
_NAMED = 5
_OTHER = "other 其他"

_DUE_IN_SESSIONS = """
SELECT day.trade_date, stock_list.ts_code,
       EXISTS (SELECT FROM suspensions WHERE suspensions.trade_date = day.trade_date) AS halts_known
FROM unnest(%(sessions)s::date[]) AS day (trade_date)
JOIN stock_list ON stock_list.list_date <= day.trade_date AND stock_list.list_status <> 'P'
    AND (stock_list.delist_date IS NULL OR stock_list.delist_date > day.trade_date)
WHERE NOT EXISTS (
    SELECT FROM suspensions WHERE suspensions.ts_code = stock_list.ts_code
    AND suspensions.trade_date = day.trade_date AND suspend_type = 'S' AND suspend_timing IS NULL)
"""
# Of the newest period no row at all may stand yet: that is for `fresh` to tell.
_DUE_IN_PERIODS = """
SELECT DISTINCT label.trade_date, daily_kline.ts_code, true AS halts_known
FROM unnest(%(sessions)s::date[]) AS label (trade_date)
JOIN daily_kline ON daily_kline.trade_date BETWEEN date_trunc('{period}', label.trade_date)::date AND label.trade_date
WHERE label.trade_date < %(latest)s OR EXISTS (SELECT FROM {table} AS have WHERE have.trade_date = label.trade_date)
"""
# Three digits and the market decide the board: few groups, whatever the length of the range.
_COUNTS = """
WITH due AS ({due})
SELECT trade_date, min(ts_code) AS code, bool_or(halts_known) AS halts_known,
       count(*) AS due, count(*) FILTER (WHERE have.ts_code IS NULL) AS missing,
       coalesce(array_agg(ts_code) FILTER (WHERE have.ts_code IS NULL), '{{}}') AS lacking
FROM due LEFT JOIN {table} AS have USING (ts_code, trade_date)
GROUP BY trade_date, left(ts_code, 3), right(ts_code, 3)
"""


def _market(scope: Scope) -> Verdict:
    tolerated = pl.when("halts_known").then(MISSING_TOLERATED).otherwise(MISSING_TOLERATED_HALTS_UNKNOWN)
    return _judged(_counts(scope, _DUE_IN_SESSIONS), tolerated, "no stock list to count against")


def _periods(scope: Scope) -> Verdict:
    due = _DUE_IN_PERIODS.format(period=scope.dataset.partition.value, table=scope.dataset.name)
    return _judged(_counts(scope, due), pl.lit(MISSING_TOLERATED), "no daily bars to count against")


def _thin_market(scope: Scope) -> Verdict:
    return _judged(_thin_counts(scope), pl.lit(MISSING_TOLERATED_THIN), "no list to count against")


def _counts(scope: Scope, due: str) -> Iterator[pl.DataFrame]:
    query = _COUNTS.format(due=due, table=scope.dataset.name)
    latest = scope.calendar.latest(ready=scope.dataset.ready)
    for chunk in scope.chunks():
        yield read_sql(scope.database, query, {"sessions": list(chunk), "latest": latest})


def _thin_counts(scope: Scope) -> Iterator[pl.DataFrame]:
    key = ["ts_code", "trade_date"]
    codes = Universe.load(scope.database, scope.dataset).listed
    alive = (pl.col("list_date") <= pl.col("trade_date")) & (
        pl.col("delist_date").is_null() | (pl.col("delist_date") > pl.col("trade_date"))
    )
    whole_session = (pl.col("suspend_type") == "S") & pl.col("suspend_timing").is_null()
    for chunk in scope.chunks():
        have = read(scope.database, scope.dataset, start=chunk[0], end=chunk[-1], columns=key)
        halted = read(scope.database, SUSPENSIONS, start=chunk[0], end=chunk[-1]).filter(whole_session)
        days = pl.DataFrame({"trade_date": chunk}, schema={"trade_date": pl.Date})
        due = codes.join(days, how="cross").filter(alive).join(halted, on=key, how="anti")
        yield (
            due.join(have.with_columns(missing=False), on=key, how="left")
            .with_columns(pl.col("missing").fill_null(True))
            .group_by("trade_date", board_of(pl.col("ts_code")).alias("board"))
            .agg(
                code=pl.col("ts_code").min(),
                due=pl.len(),
                missing=pl.col("missing").sum(),
                lacking=pl.col("ts_code").filter("missing"),
            )
            .drop("board")
        )


def _judged(counts: Iterable[pl.DataFrame], tolerated: pl.Expr, nothing_due: str) -> Verdict:
    """`counts`: trade_date, code (any of the group), due, missing, lacking (the missing codes); and what `tolerated` needs."""
    groups = [group.with_columns(tolerated=tolerated) for group in counts if not group.is_empty()]
    if not groups:
        return Verdict(True, nothing_due)
    boards = (
        pl.concat(groups)
        .group_by("trade_date", board_of(pl.col("code")).fill_null(_OTHER).alias("board"))
        .agg(
            pl.col("due", "missing").sum(),
            first=pl.col("lacking").explode().drop_nulls().sort().head(_NAMED),
            tolerated=pl.col("tolerated").first(),
        )
    )
    due, missing, tolerated = pl.col("due"), pl.col("missing"), pl.col("tolerated")
    session_short = missing.sum().over("trade_date") > tolerated * due.sum().over("trade_date")
    board_short = missing > pl.max_horizontal(pl.lit(BOARD_MISSING_TOLERATED), 2 * tolerated) * due
    short = (
        boards.filter((session_short | board_short) & (missing > 0))
        .sort("trade_date", missing / due, "board", descending=[False, True, False])
        .with_columns(pl.col("first").list.join(", "))
        .select("trade_date", "board", "due", "missing", "first")
    )
    looked_at, lacking = int(boards["due"].sum()), int(boards["missing"].sum())
    named = [f"{day}: {n} of {of} of {board}" for day, board, of, n, _ in short.head(3).iter_rows()]
    text = "; ".join([f"{lacking} of {looked_at} rows due are missing", *named])
    return Verdict(short.is_empty(), text, looked_at, short.head(PAGE))


ROW_COUNT = Check(
    "row_count", "行数完整", "Every listed code that was not suspended has its row in each session, on every board.", _market
)
ROW_COUNT_THIN = Check(
    "row_count",
    "行数完整",
    "Most listed codes have their row in each session (thin markets: some do not trade).",
    _thin_market,
)
ROW_COUNT_OF_PERIODS = Check(
    "row_count", "行数完整", "Every code that has a daily bar in the week (month) has its row, on every board.", _periods
)
