"""A market for strategies: a panel of random walks with halts, limit days, industries and values, and nothing else random."""

from __future__ import annotations

import numpy as np
import polars as pl

from quant_pipeline.market.xshg import xshg
from quant_pipeline_tests.sync.stored import LATEST

_BOARDS = ("600{:03d}.SH", "300{:03d}.SZ", "688{:03d}.SH", "000{:03d}.SZ")
_RATES = (0.1, 0.2, 0.2, 0.1)


def _trends(rng: np.random.Generator, length: int) -> np.ndarray:
    """Steep and flat stretches of 25 bars that keep a price of 20 within a few times of it."""
    found: list[float] = []
    while len(found) < length:
        level = sum(found)
        choice = [-0.02, -0.01] if level > 1 else [0.01, 0.025] if level < -1 else [-0.012, 0.0, 0.001, 0.02]
        found += [float(rng.choice(choice))] * 25
    return np.array(found[:length])


def market(codes: int = 24, sessions: int = 700, seed: int = 3) -> pl.DataFrame:
    """A panel with every column that a built-in strategy needs. Codes of four boards, some halted for weeks, some new; steep
    rises, limit-up and limit-down days, and quiet stretches, so that rare patterns occur."""
    rng = np.random.default_rng(seed)
    days = xshg().window(LATEST, sessions)
    frames = []
    for number in range(codes):
        rate = _RATES[number % 4]
        first = 0 if number % 6 else sessions - 80
        length = sessions - first
        trend = _trends(rng, length)
        noise = np.repeat(rng.choice([0.004, 0.015, 0.03], length // 30 + 1), 30)[:length]
        step = np.clip(trend + rng.normal(0, 1, length) * noise, -rate, rate)
        pressed = rng.random(length) < 0.04
        step[pressed] = rng.choice([-rate, rate, rate], pressed.sum())
        pressed[1:] |= pressed[:-1] & (rng.random(length - 1) < 0.3)
        if length > 401:  # what comes by chance too seldom: a pole with two limit-up days, a limit-up day and its shake-out
            step[300:314], step[305:307] = 0.06, rate
            step[400], step[401] = rate, 0.01
        close = 20 * np.exp(np.cumsum(step))
        before = np.concatenate([[20.0], close[:-1]])
        open_ = np.clip(before * (1 + rng.normal(0, 0.01, length)), before * (1 - rate), before * (1 + rate))
        volume = rng.lognormal(11, 0.7, length) * np.where(pressed, 4, 1) * np.where(noise < 0.01, 0.4, 1)
        low = np.minimum(open_, close) * (1 - rng.random(length) * 0.01)
        if length > 401:
            open_[401], low[401], volume[401] = close[401] * 1.02, before[401] * 1.001, 3 * volume[400]
        at_top, at_bottom = step >= rate - 1e-12, step <= -rate + 1e-12
        frame = pl.DataFrame(
            {
                "ts_code": _BOARDS[number % 4].format(number),
                "trade_date": days[first:],
                "open": open_,
                "high": np.maximum(np.maximum(open_, close) * (1 + rng.random(length) * 0.01), close),
                "low": low,
                "close": close,
                "raw_close": close,
                "pre_close": before,
                "change": close - before,
                "pct_chg": (close / before - 1) * 100,
                "vol": volume,
                "up_limit": np.where(at_top, close, before * (1 + rate)),
                "down_limit": np.where(at_bottom, close, before * (1 - rate)),
                "pe_ttm": np.where(rng.random(length) < 0.1, np.nan, rng.uniform(5, 90, length)),
                "pb": rng.uniform(0.5, 9, length),
                "dv_ttm": rng.uniform(0, 6, length),
                "total_mv": close * (1e4 + 1e5 * number),
                "turnover_rate": rng.uniform(0.1, 9, length),
            }
        ).with_columns(
            amount=pl.col("vol") * pl.col("close") / 10,
            industry=pl.lit(("银行", "医药", None)[number % 3]),
            pe_ttm=pl.col("pe_ttm").fill_nan(None),
        )
        halted = rng.random(length) < 0.02
        if number % 5 == 1:
            halted[length // 2 : length // 2 + 30] = True
        frames.append(frame.filter(pl.Series(~halted)))
    return pl.concat(frames).sort("ts_code", "trade_date")
