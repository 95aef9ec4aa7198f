"""Bars of a few codes for the tests: random walks of cents, with halts, listings on different days, flat stretches."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import strategies as st

FIRST = dt.date(2020, 1, 1)


def walks(*lengths: int, seed: int = 1, flat: float = 0.1, halted: float = 0.1) -> pl.DataFrame:
    """Codes of these numbers of bars: ts_code, trade_date, open, high, low, close, vol. In a part of the bars the price does
    not move; a part of the days has no bar."""
    rng = np.random.default_rng(seed)
    frames = []
    for number, length in enumerate(lengths):
        steps = np.where(rng.random(length) < flat, 0.0, rng.normal(0, 0.03, length))
        close = np.maximum((rng.uniform(2, 60) * np.exp(np.cumsum(steps))).round(2), 0.05)
        open_ = np.maximum((close * (1 + rng.normal(0, 0.01, length))).round(2), 0.05)
        days = np.flatnonzero(rng.random(length * 2 + 10) > halted)[:length]
        frames.append(
            pl.DataFrame(
                {
                    "ts_code": f"{600000 + number}.SH",
                    "trade_date": [FIRST + dt.timedelta(days=int(day)) for day in days],
                    "open": open_,
                    "high": np.maximum(open_, close) + (rng.random(length) * close * 0.02).round(2),
                    "low": np.maximum(np.minimum(open_, close) - (rng.random(length) * close * 0.02).round(2), 0.01),
                    "close": close,
                    "vol": rng.integers(1, 1_000_000, length).astype(float),
                }
            )
        )
    return pl.concat(frames)


markets = st.builds(
    lambda lengths, seed, flat: walks(*lengths, seed=seed, flat=flat),
    st.lists(st.integers(1, 80), min_size=1, max_size=4),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.2, 0.8]),
)
