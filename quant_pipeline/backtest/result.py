"""What a backtest gives: the kernel's tables as frames, with codes, days, 元 and words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from quant_pipeline.backtest.layout import (
    E_BOUGHT,
    E_CASH,
    E_HOLDINGS,
    E_POSITIONS,
    E_SOLD,
    O_CODE,
    O_DONE,
    O_FILLED,
    O_MADE,
    O_REASON,
    O_SIDE,
    O_STATUS,
    O_WANTED,
    P_CODE,
    P_COST,
    P_PRICE,
    P_SESSION,
    P_SHARES,
    T_CASH,
    T_CODE,
    T_COMMISSION,
    T_HANDLING,
    T_HELD,
    T_KIND,
    T_ORDER,
    T_PRICE,
    T_PROFIT,
    T_REGULATORY,
    T_SESSION,
    T_SHARES,
    T_STAMP,
    T_TAX,
    T_TRANSFER,
    T_VALUE,
    Array,
    Simulated,
)
from quant_pipeline.backtest.market_data import Market
from quant_pipeline.backtest.reasons import Kind, Reason, Side, Status
from quant_pipeline.backtest.units import UNITS


@dataclass(frozen=True)
class Frames:
    """orders · trades · equity · positions, sorted as they happened; the columns are those of the tables (warehouse)."""

    orders: pl.DataFrame
    trades: pl.DataFrame
    equity: pl.DataFrame
    positions: pl.DataFrame


def frames_of(
    market: Market, simulated: Simulated, sessions: Sequence[dt.date], benchmark: pl.DataFrame | None, capital: float
) -> Frames:
    """`sessions`: those of the equity · `benchmark`: trade_date, close of the index · `capital`: what it began with [元]."""
    orders, trades, positions = simulated.orders, simulated.trades, simulated.positions
    numbers = np.arange(1, len(orders) + 1)
    made = pl.DataFrame(
        {
            "order_no": numbers,
            "made_on": _days(market, orders[:, O_MADE]),
            "done_on": _days(market, orders[:, O_DONE]),
            "ts_code": _codes(market, orders[:, O_CODE]),
            "side": _words(Side, orders[:, O_SIDE]),
            "wanted": orders[:, O_WANTED],
            "filled": orders[:, O_FILLED],
            "status": _words(Status, orders[:, O_STATUS]),
            "reason": _words(Reason, orders[:, O_REASON]),
        }
    )
    kinds = trades[:, T_KIND]
    corporate = (kinds == Kind.DIVIDEND) | (kinds == Kind.STEP)
    traded = pl.DataFrame(
        {
            "trade_no": np.arange(1, len(trades) + 1),
            "order_no": pl.Series(np.where(trades[:, T_ORDER] < 0, 0, trades[:, T_ORDER] + 1)).replace(0, None),
            "trade_date": _days(market, trades[:, T_SESSION]),
            "ts_code": _codes(market, trades[:, T_CODE]),
            "kind": _words(Kind, kinds),
            "shares": trades[:, T_SHARES],
            "price": trades[:, T_PRICE] / UNITS,
            "value": trades[:, T_VALUE] / UNITS,
            "commission": trades[:, T_COMMISSION] / UNITS,
            "stamp_duty": trades[:, T_STAMP] / UNITS,
            "transfer_fee": trades[:, T_TRANSFER] / UNITS,
            "handling_fee": trades[:, T_HANDLING] / UNITS,
            "regulatory_fee": trades[:, T_REGULATORY] / UNITS,
            "dividend_tax": trades[:, T_TAX] / UNITS,
            "profit": trades[:, T_PROFIT] / UNITS,
            "sessions_held": np.where(corporate, 0, trades[:, T_HELD]),
            "cash": trades[:, T_CASH] / UNITS,
        }
    )
    return Frames(made, traded, _equity(simulated.equity, sessions, benchmark, capital), _positions(market, positions))


def _equity(rows: Array, sessions: Sequence[dt.date], benchmark: pl.DataFrame | None, capital: float) -> pl.DataFrame:
    total = (rows[:, E_CASH] + rows[:, E_HOLDINGS]) / UNITS
    peaks = np.maximum(np.maximum.accumulate(total), capital)
    frame = pl.DataFrame(
        {
            "trade_date": pl.Series(list(sessions), dtype=pl.Date),
            "cash": rows[:, E_CASH] / UNITS,
            "holdings": rows[:, E_HOLDINGS] / UNITS,
            "equity": total,
            "positions": rows[:, E_POSITIONS],
            "bought": rows[:, E_BOUGHT] / UNITS,
            "sold": rows[:, E_SOLD] / UNITS,
            "drawdown": total / peaks - 1,
        }
    )
    without = frame.with_columns(benchmark=pl.lit(None, pl.Float64))
    if benchmark is None or benchmark.is_empty():
        return without
    compared = frame.join(benchmark.select("trade_date", benchmark="close"), on="trade_date", how="left", maintain_order="left")
    # Of some sessions alone nothing is compared: a line of its last week, or its return of it, beside ours would mislead.
    return compared if compared["benchmark"].null_count() == 0 else without


def _positions(market: Market, rows: Array) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "trade_date": _days(market, rows[:, P_SESSION]),
            "ts_code": _codes(market, rows[:, P_CODE]),
            "shares": rows[:, P_SHARES],
            "price": rows[:, P_PRICE] / UNITS,
            "value": rows[:, P_SHARES] * rows[:, P_PRICE] / UNITS,
            "cost": rows[:, P_COST] / UNITS,
        }
    )


def _days(market: Market, numbers: Array) -> pl.Series:
    return pl.Series(market.days[numbers]).cast(pl.Date)


def _codes(market: Market, numbers: Array) -> pl.Series:
    return pl.Series(list(market.codes), dtype=pl.String).gather(numbers)


def _words(enum: Any, numbers: Array) -> pl.Series:
    """The members' names in lower case: filled, limit_up."""
    return pl.Series([each.name.lower() for each in enum], dtype=pl.String).gather(numbers)
