"""The paper account: all orders that were ever made, replayed under the exchange's rules, as a backtest of orders is.

So its fills, costs, dividends and refusals are those of the backtests, and nothing but the orders has to be kept.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl

from quant_pipeline import settings
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.signals.rules import OfPortfolio
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import folder_of, snapshot
from quant_pipeline.warehouse.reads import read_sql

_MADE = "SELECT trade_date, ts_code, side, shares FROM portfolio_orders WHERE trade_date < %(session)s AND shares > 0"


@dataclass(frozen=True)
class Account:
    """After a session. `positions`: ts_code, shares, price, value, cost · `equity`: trade_date, equity since the beginning ·
    `outcomes`: trade_date (of the decision), ts_code, side, filled, status, reason of every order."""

    cash: float
    total: float
    positions: pl.DataFrame
    equity: pl.DataFrame
    outcomes: pl.DataFrame


def account(database: Database, calendar: Calendar, session: dt.date, rules: OfPortfolio) -> Account:
    """The account at the close of the session; before the first order it is the capital."""
    from quant_pipeline.backtest import reading, run  # numba: most of a second, of every process that knows the assets
    from quant_pipeline.backtest.orders import from_orders
    from quant_pipeline.backtest.result import frames_of
    from quant_pipeline.backtest.settings import Settings

    made = read_sql(database, _MADE, {"session": session})
    if made.is_empty():
        return _untouched(session, rules.capital)
    traded = {day: calendar.shift(day, 1) for day in made["trade_date"].unique()}
    orders = made.with_columns(date=pl.col("trade_date").replace_strict(traded, return_dtype=pl.Date))
    rates = Settings(
        capital=rules.capital,
        commission=rules.commission,
        slippage_bp=rules.slippage_bp,
        buy_patience=0,
        sell_patience=0,
        benchmark="",
    )
    first = min(traded.values())
    if read_sql(database, _BARS, {"codes": made["ts_code"].unique().to_list(), "start": first, "end": session}).item() == 0:
        return _untouched(session, rules.capital)
    with snapshot(database, folder_of(settings.load())) as stored:
        loaded = reading.load(stored, calendar, start=first, end=session, codes=sorted(made["ts_code"].unique()))
    tradable = orders.filter(pl.col("ts_code").is_in(list(loaded.market.codes)) & pl.col("date").is_in(list(loaded.sessions)))
    if tradable.is_empty():
        return _untouched(session, rules.capital)
    table = tradable.sort("date", "side", "ts_code", descending=[False, True, False]).drop("trade_date")
    found = run.simulated(loaded, from_orders(loaded.market, table), rates)
    frames = frames_of(loaded.market, found, loaded.sessions, None, rates.capital)
    decided = {trade: day for day, trade in traded.items()}
    outcomes = frames.orders.with_columns(
        trade_date=pl.col("made_on").replace_strict(decided, default=None, return_dtype=pl.Date)
    ).select("trade_date", "ts_code", "side", "filled", "status", "reason")
    last = frames.equity.row(-1, named=True)
    return Account(
        cash=last["cash"],
        total=last["equity"],
        positions=frames.positions.filter(pl.col("trade_date") == session).drop("trade_date"),
        equity=frames.equity.select("trade_date", "equity"),
        outcomes=outcomes,
    )


_BARS = "SELECT count(*) FROM daily_kline WHERE ts_code = ANY(%(codes)s) AND trade_date BETWEEN %(start)s AND %(end)s"


def _untouched(session: dt.date, capital: float) -> Account:
    positions = {"ts_code": pl.String, "shares": pl.Int64, "price": pl.Float64, "value": pl.Float64, "cost": pl.Float64}
    outcomes = {
        "trade_date": pl.Date, "ts_code": pl.String, "side": pl.String, "filled": pl.Int64, "status": pl.String,
        "reason": pl.String,
    }  # fmt: skip
    return Account(
        cash=capital,
        total=capital,
        positions=pl.DataFrame(schema=positions),
        equity=pl.DataFrame({"trade_date": [session], "equity": [capital]}),
        outcomes=pl.DataFrame(schema=outcomes),
    )
