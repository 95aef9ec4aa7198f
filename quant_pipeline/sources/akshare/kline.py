"""From the routes' bars, each in units of its own, to Tushare's: 手, 千元, and a pre_close that is adjusted on ex-dates."""

from __future__ import annotations

import polars as pl

from quant_pipeline.market import codes
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.sources.units import Unit

_LOT = 100.0
_CHANGES = ("pre_close", "change", "pct_chg")


def raw_schema() -> pl.Schema:
    """RAW, a route's bars in our units, oldest first; `before` is the close of the bar before, as it was then."""
    return pl.Schema(
        {
            "trade_date": pl.Date,
            **dict.fromkeys(("open", "high", "low", "close", "vol", "amount", "before"), pl.Float64),
        }
    )


def from_eastmoney(bars: pl.DataFrame) -> pl.DataFrame:
    """RAW of stock_zh_a_hist: 手 and 元. Its changes are counted from the raw close before, on ex-dates too."""
    if not bars.columns:
        return pl.DataFrame(schema=raw_schema())
    return _raw(
        bars.sort("日期"),
        trade_date="日期",
        open="开盘",
        high="最高",
        low="最低",
        close="收盘",
        vol="成交量",
        amount=pl.col("成交额") / 1000,
        before=(pl.col("收盘") - pl.col("涨跌额")).round(2),
    )


def from_plain(bars: pl.DataFrame) -> pl.DataFrame:
    """RAW of stock_zh_a_hist_tx and stock_zh_a_daily: 元, and volume in 股 or 手, which each row shows by its mean price."""
    if bars.is_empty():
        return pl.DataFrame(schema=raw_schema())
    traded = bars.filter(pl.col("volume") > 0).sort("date")
    price = pl.col("amount") / pl.col("volume")
    # 0: in 股 · 1: in 手 · -1: the client took 股 for 手
    scale = (price / pl.col("close")).log(_LOT).round()
    return _raw(
        traded,
        trade_date="date",
        open="open",
        high="high",
        low="low",
        close="close",
        vol=(pl.col("volume") * pl.lit(_LOT).pow(scale - 1)).round(2),
        amount=pl.col("amount") / 1000,
        before=pl.col("close").shift(),
    )


def _raw(bars: pl.DataFrame, **columns: pl.Expr | str) -> pl.DataFrame:
    return bars.select(**columns).cast(raw_schema())


def steps_of(factors: pl.DataFrame) -> pl.DataFrame:
    """trade_date and adj_factor of sina's steps, oldest first."""
    return factors.select(trade_date=pl.col("date").cast(pl.Date), adj_factor=pl.col("hfq_factor").cast(pl.Float64)).sort(
        "trade_date"
    )


def completed(unit: Unit, raw: pl.DataFrame, steps: pl.DataFrame | None) -> pl.DataFrame:
    """One code's bars in the K-line's columns. Without steps nobody knows the ex-dates: no pre_close, and no change."""
    bars = raw.with_columns(ts_code=pl.lit(unit.ts_code))
    if steps is None:
        absent = [pl.lit(None, pl.Float64).alias(name) for name in _CHANGES]
        return bars.with_columns(absent).select(DAILY_KLINE.column_names)
    factor = pl.col("adj_factor")
    # of a first bar that is not the first of all, the one before is not known: it had the same factor, most likely
    ratio = factor.shift().fill_null(factor.first()) / factor
    known = bars.join_asof(steps, on="trade_date").with_columns(pre_close=(pl.col("before") * ratio).round(2))
    return with_changes(known).select(DAILY_KLINE.column_names)


def with_changes(bars: pl.DataFrame) -> pl.DataFrame:
    """Adds change and pct_chg, of close and pre_close: the sites' own have two decimals only."""
    close, pre_close = pl.col("close"), pl.col("pre_close")
    return bars.with_columns(change=(close - pre_close).round(2), pct_chg=((close / pre_close - 1) * 100).round(4))


def from_quotations(unit: Unit, quotes: pl.DataFrame) -> pl.DataFrame:
    """A session's bars out of stock_zh_a_spot_em: 手 and 元. A stock that did not trade has none."""
    theirs = {
        "open": "今开",
        "high": "最高",
        "low": "最低",
        "close": "最新价",
        "pre_close": "昨收",
        "vol": "成交量",
        "amount": "成交额",
    }
    figures = {name: pl.col(column).cast(pl.Float64, strict=False) for name, column in theirs.items()}
    bars = quotes.select(ts_code=codes.to_tushare(pl.col("代码")), trade_date=pl.lit(unit.start), **figures)
    traded = bars.filter(pl.col("vol") > 0).with_columns(pl.col("amount") / 1000)
    return with_changes(traded).select(DAILY_KLINE.column_names)


def relabelled(dataset: Dataset, bars: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """The bars under the last session of their week or month; the one that is still running is left out."""
    end = calendar.week_end if dataset.partition is Partition.WEEK else calendar.month_end
    labels = {day: end(calendar.on_or_before(day)) for day in bars["trade_date"].to_list()}
    named = bars.with_columns(pl.col("trade_date").replace_strict(labels, return_dtype=pl.Date))
    return named.filter(pl.col("trade_date") <= calendar.latest())


def spread(steps: pl.DataFrame, unit: Unit, calendar: Calendar) -> pl.DataFrame:
    """The steps as a row per session, from the one before the unit on: a factor is anchored on the session before."""
    days = calendar.between(calendar.shift(unit.start, -1), unit.end)
    each = pl.DataFrame({"trade_date": days}, schema={"trade_date": pl.Date}).join_asof(steps, on="trade_date")
    return each.select(pl.lit(unit.ts_code).alias("ts_code"), "trade_date", "adj_factor")
