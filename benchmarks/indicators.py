"""MA5 MA20 MACD RSI14 BOLL KDJ of 5,000 codes x 2,500 bars: ours beside TA-Lib's loop, polars and MyTT (extra `bench`)."""

from __future__ import annotations

import datetime as dt
import importlib.util
import resource
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from quant_pipeline.strategies.indicators import add
from quant_pipeline.strategies.indicators.running import Buffers

CODES, BARS = 5000, 2500
NAMES = "MA5 MA20 MACD RSI14 BOLL KDJ"
ROUNDS = 3


def main(argv: list[str]) -> None:
    del argv
    bars = _market()
    _show("the first of this machine or process: compiled or loaded", 1, lambda: add(bars.head(BARS * 200), NAMES))
    _show("ours, into fresh memory", ROUNDS, lambda: add(bars, NAMES))
    buffers = Buffers()
    add(bars, NAMES, buffers=buffers)
    _show("ours, into memory that is used again (to reach: < 0.5 s CPU)", ROUNDS, lambda: add(bars, NAMES, buffers=buffers))
    for peer, measured in {"talib": _talib, "polars": _polars, "MyTT": _mytt}.items():
        if importlib.util.find_spec(peer) is None:
            print(f"{peer}: not installed (pip install -e '.[bench]')")
        else:
            _show(peer, 1, lambda measured=measured: measured(bars))  # type: ignore[misc]


def _market() -> pl.DataFrame:
    random = np.random.default_rng(1)
    close = (10 * np.exp(np.cumsum(random.normal(0, 0.02, (CODES, BARS)), axis=1))).ravel().round(2)
    days = pl.date_range(dt.date(2015, 1, 1), dt.date(2015, 1, 1) + dt.timedelta(days=BARS - 1), eager=True)
    return pl.DataFrame(
        {
            "ts_code": np.repeat([f"{600000 + number}.SH" for number in range(CODES)], BARS),
            "trade_date": pl.concat([days] * CODES),
            "high": close * (1 + random.random(close.size) * 0.02),
            "low": close * (1 - random.random(close.size) * 0.02),
            "close": close,
        }
    )


def _show(what: str, rounds: int, work: Callable[[], object]) -> None:
    """The least of the rounds, in seconds of CPU and by the clock."""
    taken = []
    for _ in range(rounds):
        started, before = time.perf_counter(), _cpu()
        work()
        taken.append((_cpu() - before, time.perf_counter() - started))
    print(f"{what}: {min(cpu for cpu, _ in taken):.2f} s CPU, {min(wall for _, wall in taken):.2f} s", flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _by_code(bars: pl.DataFrame, of_one: Callable[[np.ndarray, np.ndarray, np.ndarray], object]) -> None:
    high, low, close = (bars[name].to_numpy() for name in ("high", "low", "close"))
    for first in range(0, CODES * BARS, BARS):
        of_one(high[first : first + BARS], low[first : first + BARS], close[first : first + BARS])


def _talib(bars: pl.DataFrame) -> None:
    import talib

    def of_one(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> None:
        talib.SMA(close, 5)
        talib.SMA(close, 20)
        talib.MACD(close)
        talib.RSI(close, 14)
        talib.BBANDS(close, 20)
        talib.STOCH(high, low, close, 9)

    _by_code(bars, of_one)


def _polars(bars: pl.DataFrame) -> None:
    close, change = pl.col("close"), pl.col("close").diff()
    low, high = pl.col("low").rolling_min(9), pl.col("high").rolling_max(9)
    dif = close.ewm_mean(span=12, adjust=False) - close.ewm_mean(span=26, adjust=False)
    dea = dif.ewm_mean(span=9, adjust=False)
    k = ((close - low) / (high - low) * 100).ewm_mean(alpha=1 / 3, adjust=False)
    d = k.ewm_mean(alpha=1 / 3, adjust=False)
    rises, moves = change.clip(0).ewm_mean(alpha=1 / 14, adjust=False), change.abs().ewm_mean(alpha=1 / 14, adjust=False)
    middle, spread = close.rolling_mean(20), 2 * close.rolling_std(20, ddof=0)
    columns = (close.rolling_mean(5), middle, dif, dea, 2 * (dif - dea), rises / moves * 100, k, d, 3 * k - 2 * d)
    bands = (middle + spread, middle - spread)
    bars.select(each.over("ts_code").alias(str(place)) for place, each in enumerate((*columns, *bands)))


def _mytt(bars: pl.DataFrame) -> None:
    import MyTT

    def of_one(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> None:
        MyTT.MA(close, 5)
        MyTT.MA(close, 20)
        MyTT.MACD(close)
        MyTT.RSI(close, 14)
        MyTT.BOLL(close)
        MyTT.KDJ(close, high, low)

    _by_code(bars, of_one)


if __name__ == "__main__":
    main([])
