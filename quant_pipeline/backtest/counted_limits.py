"""Limits of sessions that have no stored ones: counted by the exchange's rules of the day, from the names of the day."""

from __future__ import annotations

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.trading_rules import (
    NO_LIMIT,
    STORED_NO_LIMIT,
    delisting_period,
    price_limits,
    session_number,
    special_treatment,
)


def counted_limits(bars: pl.DataFrame, listed: pl.DataFrame, names: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """ts_code, trade_date, up_limit, down_limit [元] of these bars (ts_code, trade_date, pre_close), sorted by both; without
    those whose limits nobody knows: an unknown board, or no name of that day where ST matters.

    `listed`: ts_code, list_date · `names`: ts_code, name, start_date (name_history): never today's name.
    """
    day = pl.col("trade_date")
    known = (
        bars.select("ts_code", "trade_date", "pre_close")
        .join(listed.select("ts_code", "list_date"), on="ts_code", how="left")
        .sort("trade_date")
        .join_asof(
            names.select("ts_code", "name", "start_date").sort("start_date"),
            left_on="trade_date",
            right_on="start_date",
            by="ts_code",
            check_sortedness=False,
        )
        .with_columns(
            is_st=special_treatment(pl.col("name"), day),
            session=session_number(pl.col("list_date"), day, calendar),
            delisting_session=pl.when(delisting_period(pl.col("name"))).then(
                session_number(pl.col("start_date"), day, calendar)
            ),
        )
    )
    free = pl.col("limit_rule") == NO_LIMIT
    return (
        price_limits(known.with_columns(pl.when(pl.col("pre_close") > 0).then(pl.col("pre_close")).alias("pre_close")))
        .filter(pl.col("limit_rule").is_not_null())
        .select(
            "ts_code",
            "trade_date",
            up_limit=pl.when(free).then(STORED_NO_LIMIT).otherwise(pl.col("up_limit")),
            down_limit=pl.when(free).then(0.0).otherwise(pl.col("down_limit")),
        )
        .sort("ts_code", "trade_date")
    )
