"""Small markets written by hand, and backtests over them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from quant_pipeline.backtest import run
from quant_pipeline.backtest.market_data import factors_of, market_of, steps_of
from quant_pipeline.backtest.orders import from_signals
from quant_pipeline.backtest.reading import Loaded
from quant_pipeline.backtest.result import Frames, frames_of
from quant_pipeline.backtest.settings import Settings
from quant_pipeline.market.stretches import ByCode
from quant_pipeline.market.xshg import xshg

CALENDAR = xshg()
A, B, C = "600000.SH", "000001.SZ", "600519.SH"
STAR, BSE, CHINEXT, ETF, BOND = "688001.SH", "920001.BJ", "300001.SZ", "510300.SH", "113001.SH"
FREE: dict[str, Any] = {
    "commission": 0,
    "minimum_commission": 0,
    "stamp_duty_buy": 0,
    "stamp_duty_sell": 0,
    "transfer_fee": 0,
    "volume_share": None,
    "benchmark": "",
}
"""No cost, no cap on volume."""
Row = tuple[float, ...] | float | None
"""A bar: one price, or open, high, low, close[, pre_close[, vol in 手]]; None: halted."""


def days(count: int, first: str = "2024-03-01") -> tuple[dt.date, ...]:
    """So many sessions from that day on."""
    start = dt.date.fromisoformat(first)
    return CALENDAR.between(start, start + dt.timedelta(days=3 * count + 30))[:count]


def world(
    bars: Mapping[str, Sequence[Row]],
    *,
    sessions: Sequence[dt.date] | None = None,
    limits: Mapping[str, Sequence[tuple[float, float] | None]] | None = None,
    factors: Mapping[str, Sequence[float]] | None = None,
    dividends: Sequence[Mapping[str, Any]] = (),
    delisted: Mapping[str, dt.date] | None = None,
    names: Sequence[tuple[str, str, dt.date, dt.date | None]] = (),
) -> Loaded:
    """A market of these bars; `limits`: up, down · `dividends`: ts_code, ex_date and the amounts a share."""
    sessions = sessions or days(max(len(rows) for rows in bars.values()))
    rows = [_bar(code, bars[code], place, day) for code in sorted(bars) for place, day in enumerate(sessions)]
    frame = pl.DataFrame([row for row in rows if row], schema_overrides={"trade_date": pl.Date}, infer_schema_length=None)
    limited = [
        {"ts_code": code, "trade_date": day, "up_limit": float(pair[0]), "down_limit": float(pair[1])}
        for code, pairs in sorted((limits or {}).items())
        for day, pair in zip(sessions, pairs, strict=False)
        if pair
    ]
    market = market_of(ByCode.of(frame), sessions, ByCode.of(pl.DataFrame(limited)) if limited else None)
    factor = [
        {"ts_code": code, "trade_date": day, "adj_factor": (factors or {}).get(code, [1.0] * len(sessions))[place]}
        for code in sorted(bars)
        for place, day in enumerate(sessions)
    ]
    told = [
        {"ts_code": A, "record_date": None, "cash_div_tax": 0.0, "stk_bo_rate": 0.0, "stk_co_rate": 0.0, **each}
        for each in dividends
    ]
    schema = {"record_date": pl.Date, "ex_date": pl.Date}
    records = pl.DataFrame(told, schema_overrides=schema) if told else None
    return Loaded(
        market=market,
        steps=steps_of(market, factors_of(market, ByCode.of(pl.DataFrame(factor))), records),
        delisted=delisted or {},
        names=pl.DataFrame(
            names,
            schema={"ts_code": pl.String, "name": pl.String, "start_date": pl.Date, "end_date": pl.Date},
            orient="row",
        ),
        benchmark=pl.DataFrame(),
        panel=pl.DataFrame(),
        first=0,
        last=len(sessions) - 1,
        notes=(),
    )


def _bar(code: str, bars: Sequence[Row], place: int, day: dt.date) -> dict[str, Any] | None:
    row = bars[place] if place < len(bars) else None
    if row is None:
        return None
    values = (row,) * 4 if isinstance(row, int | float) else row
    before = next((bars[at] for at in range(place - 1, -1, -1) if bars[at] is not None), None)
    last = values[0] if before is None else before[3] if isinstance(before, tuple) else before
    pre = values[4] if len(values) > 4 else last
    volume = values[5] if len(values) > 5 else 1_000_000.0
    mean = sum(values[:4]) / 4
    prices = dict(zip(("open", "high", "low", "close"), map(float, values[:4]), strict=True))
    amount = volume * 100 * mean / 1000
    return {
        "ts_code": code, "trade_date": day, **prices, "pre_close": float(pre), "vol": float(volume), "amount": amount
    }  # fmt: skip


def replayed(loaded: Loaded, orders: Sequence[tuple[int, str, str, int]], **settings: Any) -> Frames:
    """Orders (session's number, code, side, shares) under the rules; without costs unless `settings` name them."""
    table = [(loaded.market.sessions[day], code, side, shares) for day, code, side, shares in orders]
    frame = pl.DataFrame(table, schema=["date", "code", "side", "shares"], orient="row")
    return run.of_orders(loaded, frame, Settings(**{**FREE, "capital": 1_000_000, **settings})).frames


def weighted(loaded: Loaded, weights: Sequence[tuple[int, str, float]], **settings: Any) -> Frames:
    """Target weights (session's number, code, weight)."""
    table = [(loaded.market.sessions[day], code, float(weight)) for day, code, weight in weights]
    frame = pl.DataFrame(table, schema=["date", "code", "weight"], orient="row")
    return run.of_weights(loaded, frame, Settings(**{**FREE, "capital": 1_000_000, **settings})).frames


def signalled(loaded: Loaded, signals: Mapping[tuple[int, str], int | tuple[int, float]], **settings: Any) -> Frames:
    """Signals: (session's number, code) -> 1, -1, or with a score."""
    rows = []
    for (day, code), value in signals.items():
        signal, score = value if isinstance(value, tuple) else (value, 0.0)
        rows.append((code, loaded.market.sessions[day], signal, float(score)))
    frame = pl.DataFrame(rows, schema=["ts_code", "trade_date", "signal", "score"], orient="row")
    chosen = Settings(**{**FREE, "capital": 1_000_000, **settings})
    found = run.simulated(loaded, from_signals(loaded.market, frame, chosen.delay), chosen)
    return frames_of(loaded.market, found, loaded.sessions, loaded.benchmark, chosen.capital)


def fates(frames: Frames) -> list[tuple[str, str, int, str, str]]:
    """Of each order: code, side, filled shares, status, reason."""
    return frames.orders.select("ts_code", "side", "filled", "status", "reason").rows()


def cash(frames: Frames) -> list[float]:
    """At the end of each session."""
    return frames.equity["cash"].to_list()
