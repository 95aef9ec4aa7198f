"""Weekly and monthly bars: one per code and period, and what the daily bars give."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict, by_queries
from quant_pipeline.sync.periods import span_of
from quant_pipeline.warehouse.reads import read

PRICE_TOLERANCE = 0.011
"""元: a tick, and what floating point adds."""
TRADED_TOLERANCE = 1e-6
"""Of vol and amount, beyond one 手 or 千元 of rounding."""
_PRICES = ("open", "high", "low", "close", "pre_close")
_TRADED = ("vol", "amount")

_SEVERAL = """
SELECT ts_code, min(trade_date) AS trade_date, count(*) AS bars,
       string_agg(trade_date::text, ', ' ORDER BY trade_date) AS labels
FROM {table}
WHERE trade_date >= date_trunc('{period}', %(start)s::date)
  AND trade_date < date_trunc('{period}', %(end)s::date) + '1 {period}'
GROUP BY ts_code, date_trunc('{period}', trade_date)
"""

_SEVERAL_BARS = {
    Partition.WEEK: marked("{count} of {total} codes have several bars in one week"),
    Partition.MONTH: marked("{count} of {total} codes have several bars in one month"),
}


def _one_bar(scope: Scope) -> Verdict:
    several = _SEVERAL.format(table=scope.dataset.name, period=scope.dataset.partition.value)
    offending = f"{several} HAVING count(*) > 1 ORDER BY 2, 1"
    looked_at = f"SELECT count(*) AS n FROM ({several}) AS bars"
    return by_queries(scope, offending, looked_at, _SEVERAL_BARS[scope.dataset.partition])


def _as_daily(scope: Scope) -> Verdict:
    looked_at, found = 0, []
    for chunk in scope.chunks():
        whole = _from_daily(scope, chunk)
        stored = read(scope.database, scope.dataset, start=chunk[0], end=chunk[-1])
        both = stored.join(whole, on=["ts_code", "trade_date"], suffix="_of_days")
        looked_at += both.height
        found += [_differing(both, name) for name in (*_PRICES, *_TRADED)]
    differing = pl.concat(found).sort("trade_date", "ts_code", maintain_order=True) if found else pl.DataFrame()
    rows = differing.n_unique(["ts_code", "trade_date"]) if not differing.is_empty() else 0
    text = told("{count} of {total} bars are not what the daily bars give", count=rows, total=looked_at)
    return Verdict(rows == 0, text, looked_at, differing.head(PAGE))


def _from_daily(scope: Scope, labels: Sequence[dt.date]) -> pl.DataFrame:
    """The bars of those periods whose sessions are all in daily_kline."""
    spans = {label: span_of(scope.dataset, scope.calendar, label) for label in labels}
    start = min(span[0] for span in spans.values())
    columns = ["ts_code", "trade_date", *_PRICES, *_TRADED]
    daily = read(scope.database, DAILY_KLINE, start=start, end=labels[-1], columns=columns)
    present = set(daily["trade_date"].unique())
    label_of = {day: label for label, span in spans.items() if present.issuperset(span) for day in span}
    days = pl.DataFrame(
        {"trade_date": list(label_of), "label": list(label_of.values())}, schema={"trade_date": pl.Date, "label": pl.Date}
    )
    # The move of the period is the product of its days' moves: it carries the ex-dates.
    move = pl.when(pl.col("pre_close").null_count() == 0).then((pl.col("close") / pl.col("pre_close")).product())
    return (
        daily.join(days, on="trade_date")
        .sort("ts_code", "trade_date")
        .group_by("ts_code", pl.col("label").alias("trade_date"))
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("close").last().truediv(move).alias("pre_close"),
            pl.col(_TRADED).sum(),
        )
    )


def _differing(both: pl.DataFrame, name: str) -> pl.DataFrame:
    stored, of_days = pl.col(name), pl.col(f"{name}_of_days")
    allowed = pl.lit(PRICE_TOLERANCE) if name in _PRICES else 1.0 + TRADED_TOLERANCE * of_days
    return both.filter((stored - of_days).abs() > allowed).select(
        "ts_code", "trade_date", field=pl.lit(name), stored=stored, of_days=of_days.round(4)
    )


ONE_BAR_PER_PERIOD = Check(
    "one_bar_per_period", "每周期一根K线", "Each code has one bar in a week (month), under one label.", _one_bar
)
AS_DAILY_BARS = Check(
    "as_daily_bars",
    "与日线一致",
    "Prices, volume and turnover are what the daily bars of the week (month) give, where all of its sessions are stored.",
    _as_daily,
)
