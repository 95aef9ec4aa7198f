"""Closes against the session's limits: the exchange's own where they are stored, else those of the rules of that day."""

from __future__ import annotations

import datetime as dt

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.datasets import DAILY_KLINE, NAME_HISTORY, PRICE_LIMITS, SPECIAL_TREATMENT, STOCK_LIST
from quant_pipeline.market.trading_rules import (
    STORED_NO_LIMIT,
    delisting_period,
    price_limits,
    session_number,
    st_of_the_day,
)
from quant_pipeline.sources.derived import DerivedSource
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.warehouse.reads import read

_KEY = ["ts_code", "trade_date"]
_HALF_A_TICK = 0.005
EXCHANGE, RULES = "the exchange", "the rules of that day"
_BY = "limits of"
_BY_WHOM = {
    EXCHANGE: marked("{count} judged by the exchange's limits"),
    RULES: marked("{count} judged by the rules of that day"),
}


def _within_price_limits(scope: Scope) -> Verdict:
    looked_at = dict.fromkeys((EXCHANGE, RULES), 0)
    bars, found = 0, []
    for chunk in scope.chunks():
        limited = scope.only(_limited(scope, chunk[0], chunk[-1]))
        bars += limited.height
        judged = limited.filter(pl.col(_BY).is_not_null())
        looked_at |= {by: looked_at[by] + count for by, count in judged[_BY].value_counts().iter_rows()}
        above = pl.col("close") > pl.col("up_limit") + _HALF_A_TICK
        below = pl.col("close") < pl.col("down_limit") - _HALF_A_TICK
        found.append(judged.filter(above | below).sort("trade_date", "ts_code"))
    rows = pl.concat(found) if found else pl.DataFrame()
    total = sum(looked_at.values())
    text = told("{count} of {total} closes lie outside their limits", count=rows.height, total=total)
    if total:
        text = "; ".join([text, *(told(words, count=looked_at[by]) for by, words in _BY_WHOM.items() if looked_at[by])])
    if bars > total:
        text += "; " + told("{count} bars have limits that are not known", count=bars - total)
    return Verdict(rows.is_empty(), text, total, rows.head(PAGE))


def _limited(scope: Scope, start: dt.date, end: dt.date) -> pl.DataFrame:
    """The bars with their limits, down and up, and whose these are; null: nobody knows them."""
    bars = read(scope.database, DAILY_KLINE, start=start, end=end, columns=[*_KEY, "close", "pre_close"])
    told = read(scope.database, PRICE_LIMITS, start=start, end=end, columns=[*_KEY, "down_limit", "up_limit", "source"])
    # Limits that were counted by the rules are no second opinion: they are counted again, and called what they are.
    told = told.filter(pl.col("source") != DerivedSource.name).drop("source").with_columns(pl.lit(EXCHANGE).alias(_BY))
    free = pl.col("up_limit") >= STORED_NO_LIMIT
    told = told.with_columns(pl.when(~free).then(pl.col("down_limit", "up_limit")))
    stored = bars.join(told, on=_KEY, how="inner")
    return pl.concat([stored, _by_rules(scope, bars.join(told, on=_KEY, how="anti"), start, end)], how="diagonal")


def _by_rules(scope: Scope, bars: pl.DataFrame, start: dt.date, end: dt.date) -> pl.DataFrame:
    """The bars with the limits of the rules, but for those after a halt: some shares come back from one without limits."""
    if bars.is_empty():
        return bars
    listed = read(scope.database, STOCK_LIST, columns=["ts_code", "list_date", "delist_date", "name"])
    names = read(scope.database, NAME_HISTORY, columns=["ts_code", "name", "start_date"]).sort("start_date")
    marks = read(scope.database, SPECIAL_TREATMENT, start=start, end=end, columns=[*_KEY, "is_st"])
    named = (
        bars.join(listed.rename({"name": "name_today"}), on="ts_code", how="left")
        .join(marks, on=_KEY, how="left")
        .sort("trade_date")
        .join_asof(names, left_on="trade_date", right_on="start_date", by="ts_code", check_sortedness=False)
    )
    day, leaving = pl.col("trade_date"), delisting_period(pl.col("name"))
    known = named.with_columns(
        # Without a name or a mark the wider limit is what can be held against a close.
        is_st=st_of_the_day().fill_null(False),
        session=session_number(pl.col("list_date"), day, scope.calendar),
        delisting_session=pl.when(leaving).then(session_number(pl.col("start_date"), day, scope.calendar)),
    )
    limited = price_limits(known).join(_after_halts(scope, start, end), on=_KEY, how="anti")
    by = pl.when(pl.col("limit_rule").is_not_null()).then(pl.lit(RULES)).alias(_BY)
    return limited.select(*_KEY, "close", "pre_close", "down_limit", "up_limit", by, "limit_rule")


def _after_halts(scope: Scope, start: dt.date, end: dt.date) -> pl.DataFrame:
    """The bars of codes that have none in the session before, though that session is stored."""
    traded = read(scope.database, DAILY_KLINE, start=scope.calendar.shift(start, -1), end=end, columns=_KEY)
    days = traded.select("trade_date").unique()
    following = {
        day: scope.calendar.shift(day, 1) for day in days["trade_date"] if scope.calendar.is_session(day) and day < end
    }
    after = pl.col("trade_date").replace_strict(following, default=None, return_dtype=pl.Date)
    expected = traded.with_columns(after.alias("trade_date")).drop_nulls()
    seen = expected.select("trade_date").unique()
    return traded.join(seen, on="trade_date", how="semi").join(expected, on=_KEY, how="anti")


WITHIN_PRICE_LIMITS = Check(
    "within_price_limits",
    "收盘价在涨跌停内",
    "No close lies outside the session's limit prices: the exchange's own, or where none are stored, the rules'.",
    _within_price_limits,
    of_codes=True,
)
