"""Tushare's weekly and monthly bars brought to the platform's terms: pct_chg in %, labels that are sessions."""

from __future__ import annotations

import calendar as civil
import datetime as dt

import polars as pl

from quant_pipeline.market.calendar import Calendar


def weekly(bars: pl.DataFrame) -> pl.DataFrame:
    """pct_chg as a percentage. Tushare writes it as a fraction in weekly bars, and not so in all monthly ones: what is nearer
    to close / pre_close - 1 than to a hundred times that is a fraction. Where pre_close is missing it cannot be known: null.
    """
    said, close, before = (pl.col(name).cast(pl.Float64, strict=False) for name in ("pct_chg", "close", "pre_close"))
    growth = close / before - 1
    fraction = (said - growth).abs() < (said - growth * 100).abs()
    return bars.with_columns(pl.when(fraction).then((said * 100).round(6)).when(~fraction).then(said).alias("pct_chg"))


def monthly(bars: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """As for weeks; and a label that is the month's last day becomes its last session."""
    label = pl.col("trade_date").cast(pl.String)
    labels = bars.select(label.unique().drop_nulls()).to_series()
    days = labels.str.to_date("%Y%m%d", strict=False)
    sessions = {
        label: f"{calendar.on_or_before(day):%Y%m%d}"
        for label, day in zip(labels, days, strict=True)
        if day is not None and day == month_end(day)
    }
    return weekly(bars).with_columns(label.replace(sessions))


def month_end(day: dt.date) -> dt.date:
    """The last calendar day of the day's month."""
    return day.replace(day=civil.monthrange(day.year, day.month)[1])
