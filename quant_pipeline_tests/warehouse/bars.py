"""Daily bars for the warehouse's tests and benchmarks: seeded, and of the shape that a source sends."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

FIRST_DAY = dt.date(2015, 1, 5)


def daily_bars(codes: int, days: int, *, skip: int = 0, seed: int = 1) -> pl.DataFrame:
    """`codes` x `days` rows of daily_kline from FIRST_DAY + `skip` on (every calendar day), sorted by day and code."""
    rng = np.random.default_rng((seed, skip))
    names = pl.Series([f"{600000 + number:06d}.SH" for number in range(codes)])
    dates = pl.Series([FIRST_DAY + dt.timedelta(days=skip + number) for number in range(days)])
    close = np.round(rng.uniform(3, 100, codes * days), 2)
    pre_close = np.round(close * rng.uniform(0.95, 1.05, close.size), 2)
    vol = np.round(rng.uniform(1e3, 1e6, close.size), 2)
    return pl.DataFrame(
        {
            "ts_code": names.gather(np.tile(np.arange(codes), days)),
            "trade_date": dates.gather(np.repeat(np.arange(days), codes)),
            "open": close,
            "high": np.round(close * 1.02, 2),
            "low": np.round(close * 0.98, 2),
            "close": close,
            "pre_close": pre_close,
            "change": np.round(close - pre_close, 2),
            "pct_chg": np.round((close / pre_close - 1) * 100, 4),
            "vol": vol,
            "amount": np.round(vol * close / 10, 3),
        }
    )
