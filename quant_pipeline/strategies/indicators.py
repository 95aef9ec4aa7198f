"""Indicators as A-share people know them (通达信, 同花顺), as polars expressions over a code's own bars."""

from __future__ import annotations

import polars as pl


def ma(window: int, price: str = "close") -> pl.Expr:
    """Simple moving average of the last `window` bars of each code; null before there are as many."""
    return pl.col(price).rolling_mean(window).over("ts_code")


def macd(fast: int = 12, slow: int = 26, signal: int = 9, price: str = "close") -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """DIF, DEA and the histogram 2 x (DIF - DEA), per code. The averages begin with the first price, as there."""

    def average(of: pl.Expr, span: int) -> pl.Expr:
        return of.ewm_mean(span=span, adjust=False)

    dif = average(pl.col(price), fast) - average(pl.col(price), slow)
    dea = average(dif, signal)
    return dif.over("ts_code"), dea.over("ts_code"), (2 * (dif - dea)).over("ts_code")


def kdj(window: int = 9, k_smoothing: int = 3, d_smoothing: int = 3) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """K, D and J = 3K - 2D, per code, of the columns high, low and close.

    RSV is the close's place between the extremes of the last `window` bars, of as many as there are at the beginning; K is
    SMA(RSV, 3, 1), D is SMA(K, 3, 1), both beginning with their first value. Where the extremes are one price there is no
    RSV, and K and D stay as they were.
    """
    low = pl.col("low").rolling_min(window, min_samples=1)
    high = pl.col("high").rolling_max(window, min_samples=1)
    rsv = pl.when(high > low).then((pl.col("close") - low) / (high - low) * 100)

    def smoothed(of: pl.Expr, length: int) -> pl.Expr:
        return of.ewm_mean(alpha=1 / length, adjust=False, ignore_nulls=True)

    k = smoothed(rsv, k_smoothing)
    d = smoothed(k, d_smoothing)
    k, d = k.forward_fill(), d.forward_fill()
    return k.over("ts_code"), d.over("ts_code"), (3 * k - 2 * d).over("ts_code")
