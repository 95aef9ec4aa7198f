"""A day as its row of `market_overview`."""

from __future__ import annotations

import polars as pl

from quant_pipeline.market.reports import MARKET_OVERVIEW
from quant_pipeline.overview.parts import Day, ExDates, Halts, Listings, Turnover


def row_of(day: Day) -> pl.DataFrame:
    """One row of the spec; null where a part is lacking."""
    turnover = day.turnover if isinstance(day.turnover, Turnover) else None
    values = {
        "trade_date": day.session,
        "codes": day.codes,
        "missing": len(day.missing) if day.due is not None else None,
        "up": day.breadth.up,
        "down": day.breadth.down,
        "flat": day.breadth.flat,
        "pct_chg_mean": day.breadth.mean,
        "pct_chg_median": day.breadth.median,
        "limit_up": day.limits.up,
        "limit_down": day.limits.down,
        "limit_up_broken": day.limits.broken,
        "limit_unknown": day.limits.unknown,
        "longest_limit_up_run": day.limits.highest,
        "amount": turnover.amount if turnover else None,
        "amount_mean": turnover.mean if turnover else None,
        "suspended": len(day.halts.whole) if isinstance(day.halts, Halts) else None,
        "new_listings": len(day.listings.quotes) if isinstance(day.listings, Listings) else None,
        "ex_dates": len(day.ex_dates.dates) if isinstance(day.ex_dates, ExDates) else None,
    }
    types = {column.name: column.type.polars for column in MARKET_OVERVIEW.columns}
    return pl.DataFrame([values], schema=types)
