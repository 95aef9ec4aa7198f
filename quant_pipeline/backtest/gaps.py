"""Sessions of a range that the store has no bars of: what is counted over such holes is not what would have happened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from quant_pipeline.backtest.layout import Array
from quant_pipeline.backtest.market_data import Market
from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.language import say
from quant_pipeline.warehouse.lake import Snapshot

_HARDLY: Final = 0.1
"""Part of the year's usual number of bars below which a session has almost none: its sync was broken off."""
_MOST: Final = 0.5
"""Part of the range's sessions; where more lack, nothing can be told of the range."""
_COUNTED: Final = (
    "SELECT trade_date, count(*) AS bars FROM daily_kline WHERE trade_date BETWEEN %(start)s AND %(end)s GROUP BY 1"
)


def gaps_of_bars(stored: Snapshot, market: Market, first: int, *, chosen: bool) -> str | None:
    """In words, the sessions from number `first` on that have no bars, or hardly any; None where all have them.

    `chosen`: the market is of some codes only, which may all have been halted on a day; then it lacks where nothing else has
    bars either. BacktestError, in words, where most of the range lacks.
    """
    sessions = market.sessions[first:]
    bars = np.bincount(market.session, minlength=len(market.sessions))[first:]
    lacking = _lacking(bars, sessions)
    if chosen:
        lacking = bars == 0
        if lacking.any():
            lacking &= _lacking(_counted(stored, sessions), sessions)
    if not lacking.any():
        return None
    named = [day for day, lacks in zip(sessions, lacking, strict=True) if lacks]
    text = say(
        "{count:,} of {total:,} sessions in the range have no bars, or hardly any ({first} … {last}): {command}",
        count=len(named),
        total=len(sessions),
        first=named[0],
        last=named[-1],
        command=fetching("daily_kline,adj_factor,price_limits", named),
    )
    if len(named) > _MOST * len(sessions):
        raise BacktestError(text)
    return text


def gaps_of_benchmark(code: str, index: pl.DataFrame, sessions: Sequence[dt.date]) -> str | None:
    """In words, the sessions that the benchmark has no bar of; None where it has all."""
    held = set() if index.is_empty() else set(index["trade_date"])
    named = [day for day in sessions if day not in held]
    if not named:
        return None
    return say(
        "{index} has no bars of {count:,} of {total:,} sessions in the range ({first} … {last}): "
        "nothing is compared with it. {command}",
        index=code,
        count=len(named),
        total=len(sessions),
        first=named[0],
        last=named[-1],
        command=fetching("index_daily", named),
    )


def fetching(datasets: str, days: Sequence[dt.date]) -> str:
    """The command that fetches the data sets from the first of these sessions to the last."""
    return f"quant-pipeline sync --datasets {datasets} --start {days[0]} --end {days[-1]}"


def _lacking(bars: Array, sessions: Sequence[dt.date]) -> Array:
    """Per session whether its bars are hardly any, by the usual number of its year: the market grew a thousandfold."""
    years = np.array([day.year for day in sessions])
    usual = np.zeros(len(sessions))
    for year in np.unique(years):
        some = bars[(years == year) & (bars > 0)]
        usual[years == year] = np.median(some) if some.size else 0.0
    found: Array = (bars == 0) | (bars < _HARDLY * usual)
    return found


def _counted(stored: Snapshot, sessions: Sequence[dt.date]) -> Array:
    """How many bars of shares are stored of each session."""
    counts = dict(stored.sql(_COUNTED, {"start": sessions[0], "end": sessions[-1]}).iter_rows())
    return np.array([counts.get(day, 0) for day in sessions])
