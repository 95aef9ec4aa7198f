"""Indicators as A-share people know them (通达信, 同花顺), as polars expressions over a code's own bars."""

from __future__ import annotations

import polars as pl


def ma(window: int, price: str = "close") -> pl.Expr:
    """Simple moving average of the last `window` bars of each code; null before there are as many."""
    return pl.col(price).rolling_mean(window).over("ts_code")
