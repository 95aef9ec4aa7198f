"""Adjusted prices (复权), computed when read: raw bars and factors are what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import polars as pl

from quant_pipeline.market.stretches import BY_CODE, ByCode, beside, beside_codes

Adjustment = Literal["qfq", "hfq"]
_PRICES = ("open", "high", "low", "close", "pre_close", "up_limit", "down_limit")


def adjust(bars: pl.DataFrame, factors: pl.DataFrame, how: Adjustment) -> pl.DataFrame:
    """The bars with open, high, low, close and pre_close adjusted (up_limit and down_limit too, where they stand beside
    them), change and pct_chg as they follow from those; volume and amount stay as traded. The SQL views daily_kline_qfq and
    _hfq say the same.

    `bars`: ts_code, trade_date and raw prices [元] · `factors`: ts_code, trade_date, adj_factor.
    hfq = price x factor · qfq = price x factor / the code's latest factor in `factors`: give factors up to today, not only
    up to the last bar, or two reads will not agree. A session without a factor takes the code's last one before it; a
    code without any factor before a bar gets nulls, never a silent 1.
    Source of the convention: Tushare's 复权因子; checked to 5e-6 against its published columns.
    """
    found = adjusted(ByCode.sorted(bars), ByCode.sorted(factors.select(*BY_CODE, "adj_factor")), how)
    return found.frame().select(bars.columns)


def adjusted(bars: ByCode, factors: ByCode, how: Adjustment) -> ByCode:
    """As `adjust`, of rows by code and day."""
    known = bars.beside(beside(bars, factors, or_before=True))
    scale = pl.col("adj_factor")
    if how == "qfq":
        latest = pl.DataFrame({"ts_code": factors.codes, "latest": factors.rows["adj_factor"][factors.offsets[1:] - 1]})
        known = known.beside(beside_codes(known, latest))
        scale = scale / pl.col("latest")
    # pre_close is the ex-rights price of the bar's own day already: the bar's own factor carries it over.
    columns = bars.rows.columns
    scaled = known.rows.with_columns((pl.col(name) * scale).alias(name) for name in _PRICES if name in columns)
    return replace(bars, rows=scaled.with_columns(**_changes(columns, scale)).select(columns))


def with_factors(bars: pl.DataFrame, factors: pl.DataFrame) -> pl.DataFrame:
    """The bars, sorted by code and day, with adj_factor: the session's own, or the code's last one before it; null before the
    first."""
    known = ByCode.sorted(bars)
    return known.beside(beside(known, ByCode.sorted(factors.select(*BY_CODE, "adj_factor")), or_before=True)).frame()


def _changes(columns: Sequence[str], scale: pl.Expr) -> dict[str, pl.Expr]:
    """change [元] and pct_chg [%] of adjusted bars, from their close and pre_close; without these, change is scaled."""
    close, before = pl.col("close"), pl.col("pre_close")
    derived = {"change": close - before, "pct_chg": pl.when(before != 0).then((close / before - 1) * 100)}
    if not {"close", "pre_close"} <= set(columns):
        derived = {"change": pl.col("change") * scale}
    return {name: expression for name, expression in derived.items() if name in columns}
