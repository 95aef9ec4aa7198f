"""Tushare's weekly and monthly bars brought to the platform's terms: pct_chg in %, vol in 手, labels that are sessions."""

from __future__ import annotations

import calendar as civil
import datetime as dt
from collections.abc import Callable

import polars as pl

from quant_pipeline.market.calendar import Calendar

_ROUNDED = 0.02
"""What rounding makes of a mean price, of few shares."""


def weekly(bars: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """A label that is a closed Friday becomes the week's last session; pct_chg as a percentage, vol in 手, amount in 千元."""
    return _in_lots(_as_percentage(_relabelled(bars, calendar, week_end)))


def monthly(bars: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """A label that is the month's last day becomes its last session; the rest as of weeks."""
    return _in_lots(_as_percentage(_relabelled(bars, calendar, month_end)))


def _in_lots(bars: pl.DataFrame) -> pl.DataFrame:
    """Tushare's page says no unit: its samples of 2018 are in 手 and 千元, as its daily bars are, answers of 2026 in 股 and 元.

    A row's turnover over its volume is its mean price in the latter, a tenth of it in the former, and the mean price lies
    between low and high (of a month with a split these are far apart, and the close tells nothing). Where it cannot be told
    nothing is changed.
    """
    vol, amount, low, high = (pl.col(name).cast(pl.Float64, strict=False) for name in ("vol", "amount", "low", "high"))
    traded = (low * (1 - _ROUNDED), high * (1 + _ROUNDED))
    in_shares = ((amount / vol).is_between(*traded) & ~(amount / vol * 10).is_between(*traded)).fill_null(False)
    return bars.with_columns(
        vol=pl.when(in_shares).then(vol / 100).otherwise(vol), amount=pl.when(in_shares).then(amount / 1000).otherwise(amount)
    )


def _as_percentage(bars: pl.DataFrame) -> pl.DataFrame:
    """Tushare writes pct_chg as a fraction in weekly bars, and not so in all monthly ones: what is nearer to
    close / pre_close - 1 than to a hundred times that is a fraction. Where pre_close is missing it cannot be known: null.
    """
    said, close, before = (pl.col(name).cast(pl.Float64, strict=False) for name in ("pct_chg", "close", "pre_close"))
    growth = close / before - 1
    fraction = (said - growth).abs() < (said - growth * 100).abs()
    return bars.with_columns(pl.when(fraction).then((said * 100).round(6)).when(~fraction).then(said).alias("pct_chg"))


def _relabelled(bars: pl.DataFrame, calendar: Calendar, end_of: Callable[[dt.date], dt.date]) -> pl.DataFrame:
    """The labels that are the last day of their period as its last session: both stand in Tushare's samples."""
    label = pl.col("trade_date").cast(pl.String)
    labels = bars.select(label.unique().drop_nulls()).to_series()
    days = labels.str.to_date("%Y%m%d", strict=False)
    sessions = {
        label: f"{calendar.on_or_before(day):%Y%m%d}"
        for label, day in zip(labels, days, strict=True)
        if day is not None and day == end_of(day)
    }
    return bars.with_columns(label.replace(sessions))


def week_end(day: dt.date) -> dt.date:
    """The Friday of the day's week."""
    return day + dt.timedelta(days=4 - day.weekday())


def month_end(day: dt.date) -> dt.date:
    """The last calendar day of the day's month."""
    return day.replace(day=civil.monthrange(day.year, day.month)[1])
