"""What a route does not tell of a bar and the warehouse knows: the ex-rights previous close, and the changes from it."""

from __future__ import annotations

import polars as pl

from quant_pipeline.sources.units import Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_BEFORE = """
SELECT trade_date, close FROM daily_kline
WHERE ts_code = %(code)s AND trade_date < %(first)s ORDER BY trade_date DESC LIMIT 1
"""
_FACTORS = "SELECT trade_date, adj_factor FROM adj_factor WHERE ts_code = %(code)s AND trade_date <= %(last)s"
_DAYS = ("%Y%m%d", "%Y-%m-%d")


def with_pre_close(database: Database, unit: Unit, bars: pl.DataFrame) -> pl.DataFrame:
    """One code's bars with pre_close, change and pct_chg filled in where they are null: last close x last factor / factor.

    Bars whose two factors are not stored keep their nulls: nothing is guessed.
    """
    if bars.is_empty() or bars["pre_close"].null_count() == 0:
        return bars
    day = pl.col("trade_date").cast(pl.String)
    days = bars.with_columns(day=pl.coalesce(day.str.to_date(form, strict=False) for form in _DAYS)).sort("day")
    values = {"code": unit.ts_code, "first": days["day"].min(), "last": days["day"].max()}
    before = read_sql(database, _BEFORE, values).rename({"trade_date": "day"})
    closes = pl.concat([before, days.select("day", pl.col("close").cast(pl.Float64))])
    chained = closes.join(read_sql(database, _FACTORS, values).rename({"trade_date": "day"}), on="day", how="left").select(
        "day",
        told=(pl.col("close").shift() * pl.col("adj_factor").shift() / pl.col("adj_factor")).round(2),
    )
    known = days.join(chained, on="day", how="left")
    pre_close = pl.coalesce(pl.col("pre_close").cast(pl.Float64), "told")
    close = pl.col("close").cast(pl.Float64)
    return known.with_columns(
        pre_close=pre_close,
        change=pl.coalesce(pl.col("change").cast(pl.Float64), (close - pre_close).round(2)),
        pct_chg=pl.coalesce(pl.col("pct_chg").cast(pl.Float64), ((close / pre_close - 1) * 100).round(4)),
    ).select(bars.columns)
