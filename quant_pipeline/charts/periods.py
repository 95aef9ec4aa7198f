"""Days, weeks and months: which sessions make a bar, and what it is made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum

import polars as pl


class Frequency(StrEnum):
    """How long a bar is. The values are what commands and addresses take."""

    DAY = "D"
    WEEK = "W"
    MONTH = "M"

    @property
    def zh(self) -> str:
        return {"D": "日线", "W": "周线", "M": "月线"}[self]


_TRUNCATED = {Frequency.DAY: "1d", Frequency.WEEK: "1w", Frequency.MONTH: "1mo"}


def labelled(sessions: Sequence[dt.date], frequency: Frequency) -> pl.DataFrame:
    """Per session its bar's label, the last session of its period: trade_date, label. A running period's is the last one."""
    days = pl.DataFrame({"trade_date": sessions}, schema={"trade_date": pl.Date})
    period = pl.col("trade_date").dt.truncate(_TRUNCATED[frequency])
    return days.with_columns(label=pl.col("trade_date").max().over(period))


def gathered(bars: pl.DataFrame, labels: pl.DataFrame, *, by: Sequence[str] = ()) -> pl.DataFrame:
    """Bars of the periods out of one code's daily ones, which are adjusted already; as the SQL views weekly_kline_qfq … say.

    `bars`: trade_date, open, high, low, close, pre_close, vol, amount · `labels`: see `labelled` · `by`: the column that
    tells the codes apart, where there are several. A week's pre_close is that of its first bar; change and pct_chg follow
    from it. Only sessions that have a label are taken.
    """
    close, before = pl.col("close"), pl.col("pre_close")
    return (
        bars.join(labels, on="trade_date")
        .sort("trade_date")
        .group_by(*by, "label", maintain_order=True)
        .agg(
            pl.first("open"),
            pl.max("high"),
            pl.min("low"),
            pl.last("close"),
            pl.first("pre_close"),
            pl.sum("vol"),
            pl.when(pl.col("amount").is_not_null().all()).then(pl.sum("amount")).alias("amount"),
        )
        .rename({"label": "trade_date"})
        .with_columns(change=close - before, pct_chg=pl.when(before != 0).then((close / before - 1) * 100))
    )


def with_true_changes(
    bars: pl.DataFrame, adjusted: pl.DataFrame, labels: pl.DataFrame, *, by: Sequence[str] = ()
) -> pl.DataFrame:
    """Raw bars of periods with pre_close, change and pct_chg free of the ex-dates within a week or month, as 同花顺 shows
    them. `adjusted`: the daily bars, hfq."""
    true = gathered(adjusted, labels, by=by).select(*by, "trade_date", true="pct_chg")
    close = pl.col("close")
    before = pl.coalesce(close / (1 + pl.col("true") / 100), pl.col("pre_close"))
    return (
        bars.join(true, on=[*by, "trade_date"], how="left")
        .with_columns(pre_close=before)
        .with_columns(change=close - pl.col("pre_close"), pct_chg=pl.coalesce("true", "pct_chg"))
        .drop("true")
        .sort(*by, "trade_date")
    )
