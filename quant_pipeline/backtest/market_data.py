"""Bars, limits, dividends and factor steps as the arrays that the kernel works on, in units and sessions' numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from quant_pipeline.backtest.layout import NEVER, Array
from quant_pipeline.backtest.passes import (
    averaged,
    bounded,
    carried,
    changes,
    in_shares,
    in_units,
    merged,
    numbered,
    unexplained,
)
from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.backtest.units import parts
from quant_pipeline.language import say
from quant_pipeline.market.stretches import ByCode
from quant_pipeline.market.trading_rules import STORED_NO_LIMIT

_THREADS: Final = 2
_PRICES: Final = ("open", "high", "low", "close", "pre_close")
_STEP: Final = 1e-6
"""Factors that differ by less are one: sources write them to so many digits."""


@dataclass(frozen=True)
class Market:
    """What was known of some codes over some sessions. Bars: a row each, sorted by code and session.

    Prices in units (int32 in the arrays), `volume` in shares; `high`, `low` and `vwap` (0 where nothing traded) are empty where
    nobody trades at vwap; limits NEVER and 0 where there is none. `sessions`: the days by number; `codes` by number;
    `offsets`: where each code's rows begin, and the end.
    """

    codes: tuple[str, ...]
    sessions: tuple[dt.date, ...]
    offsets: Array
    session: Array
    open: Array
    high: Array
    low: Array
    close: Array
    pre_close: Array
    vwap: Array
    volume: Array
    up: Array
    down: Array
    unlimited: int
    """Bars of which no limit is known."""

    @cached_property
    def days(self) -> Array:
        """The sessions as datetime64[D]."""
        return np.array(self.sessions, dtype="datetime64[D]")

    @cached_property
    def day(self) -> Array:
        """The day of each row, in days since 1970 (int32)."""
        found: Array = self.days.astype(np.int32)[self.session]
        return found

    @cached_property
    def number(self) -> Mapping[str, int]:
        """Code -> its number."""
        return {code: place for place, code in enumerate(self.codes)}

    @cached_property
    def code(self) -> Array:
        """The number of each row's code."""
        return np.repeat(np.arange(len(self.codes), dtype=np.int32), np.diff(self.offsets))


def market_of(bars: ByCode, sessions: Sequence[dt.date], limits: ByCode | None = None) -> Market:
    """Of daily bars (trade_date, open, close, pre_close [元], vol [手]; for vwap high and low [元], amount [千元], too) and the
    limits of sessions (trade_date, up_limit, down_limit [元]), both sorted by code and trade_date.

    BacktestError where there are no bars, or a bar of a day that is no session.
    """
    rows = bars.rows
    if rows.is_empty():
        raise BacktestError(say("no bars are stored for this range: sync daily_kline for it first"))
    codes = tuple(bars.codes.to_list())
    session = _numbers(rows["trade_date"], sessions)
    if (strange := np.flatnonzero(session < 0)).size:
        raise BacktestError(
            say(
                "a bar of {day} is stored, which is no session of the calendar: sync trade_calendar",
                day=rows["trade_date"][int(strange[0])],
            )
        )
    with ThreadPoolExecutor(_THREADS) as threads:  # compiled passes run beside each other
        limited = threads.submit(_limits, codes, bars.offsets, session, sessions, limits)
        shares = threads.submit(in_shares, _floats(rows["vol"], 0.0))
        priced = {name: threads.submit(_price, rows[name]) for name in _PRICES if name in rows.columns}
    prices = {name: found.result() for name, found in priced.items()}
    volume, vwap = shares.result(), np.zeros(0, dtype=np.int32)
    if {"high", "low", "amount"} <= set(rows.columns):
        vwap = averaged(volume, _floats(rows["amount"], 0.0), prices["low"], prices["high"])
    up, down, unlimited = limited.result()
    return Market(
        codes=codes,
        sessions=tuple(sessions),
        offsets=bars.offsets,
        session=session,
        open=prices["open"],
        high=prices.get("high", vwap),
        low=prices.get("low", vwap),
        close=prices["close"],
        pre_close=prices["pre_close"],
        vwap=vwap,
        volume=volume,
        up=up,
        down=down,
        unlimited=unlimited,
    )


@dataclass(frozen=True)
class Steps:
    """Dividends and factor steps, a row each, sorted by session and code; per share: cash and par of bonus shares in parts of
    元, new shares in parts. `told`: by a record, not by the factor alone. `record`: the record date, on which the tax hangs."""

    session: Array
    code: Array
    cash: Array
    bonus_par: Array
    shares: Array
    told: Array
    record: Array


def steps_of(market: Market, factor: Array, dividends: pl.DataFrame | None = None) -> Steps:
    """What happened to holders on ex-dates. `factor`: adj_factor per bar (`factors_of`) · `dividends`: ts_code, ex_date,
    record_date, cash_div_tax [元 a share], stk_bo_rate, stk_co_rate, stk_div (their sum) [a share]; those carried out.

    A dividend whose ex-date lies in a halt is paid on it all the same. A factor step that no record explains, or not whole,
    is cash: the close before less the bar's ex-rights price (pre_close).
    """
    records = _records(market, dividends)
    rows = _stepped(market, factor)
    codes = np.searchsorted(market.offsets, rows, side="right") - 1
    by_code = np.lexsort((records["session"], records["code"]))
    told = {name: records[name][by_code] for name in ("session", "cash", "shares")}
    begins = np.searchsorted(records["code"][by_code], np.arange(len(market.codes) + 1))
    cash = unexplained(rows, codes, market.session, market.close, market.pre_close, factor, begins, *told.values(), _TOLERANCE)
    booked, cash = rows[cash != 0], cash[cash != 0]
    zero, days = np.zeros(len(booked), dtype=np.int64), market.days
    both = {
        "session": np.concatenate([records["session"], market.session[booked]]),
        "code": np.concatenate([records["code"], np.searchsorted(market.offsets, booked, side="right") - 1]),
        "cash": np.concatenate([records["cash"], cash]),
        "bonus_par": np.concatenate([records["bonus_par"], zero]),
        "shares": np.concatenate([records["shares"], zero]),
        "told": np.concatenate([np.ones(len(records["code"]), dtype=np.uint8), zero.astype(np.uint8)]),
        "record": np.concatenate([records["record"], days[market.session[booked]]]),
    }
    order = np.lexsort((-both["told"].astype(np.int8), both["code"], both["session"]))
    return Steps(**{name: values[order] for name, values in both.items()})


_TOLERANCE: Final = 0.005
"""Part of the close before by which a record's ex-rights price and the bar's own may differ, and still be one."""


def factors_of(market: Market, factors: ByCode) -> Array:
    """Per bar the factor of its session, or the code's last one before it; float64, NaN where it has none. `factors`:
    trade_date, adj_factor, sorted by code and trade_date; rows that say what the one before said may be missing."""
    days, values = factors.rows["trade_date"].to_physical().to_numpy(), _floats(factors.rows["adj_factor"], float("nan"))
    found: Array = carried(market.offsets, market.day, _places(market.codes, factors), factors.offsets, days, values)
    return found


def _places(codes: Sequence[str], rows: ByCode) -> Array:
    """The number that each code has among these rows', -1: none."""
    place = {code: number for number, code in enumerate(rows.codes.to_list())}
    return np.array([place.get(code, -1) for code in codes], dtype=np.int64)


def _numbers(days: pl.Series, sessions: Sequence[dt.date]) -> Array:
    """The number of each day's session, -1 where it is none."""
    known = np.array(sessions, dtype="datetime64[D]").astype(np.int64)
    table = np.full(int(known[-1] - known[0]) + 1, -1, dtype=np.int32)
    table[known - known[0]] = np.arange(len(known), dtype=np.int32)
    found: Array = numbered(days.to_physical().to_numpy(), table, int(known[0]))
    return found


def _floats(column: pl.Series, null: float) -> Array:
    found: Array = (column.fill_null(null) if column.null_count() else column).to_numpy()
    return found


def _price(column: pl.Series) -> Array:
    found: Array = in_units(_floats(column, 0.0))
    return found


def _matching(codes: Sequence[str], offsets: Array, session: Array, rows: ByCode, sessions: Sequence[dt.date]) -> Array:
    """Per bar the row that is of its code and session, -1 where there is none."""
    days = _numbers(rows.rows["trade_date"], sessions)
    found: Array = merged(offsets, session, _places(codes, rows), rows.offsets, days)
    return found


def without_limits(market: Market, limits: ByCode) -> Array:
    """The bars that have no row among the limits (sorted by code and trade_date)."""
    rows: Array = np.flatnonzero(_matching(market.codes, market.offsets, market.session, limits, market.sessions) < 0)
    return rows


def with_limits(market: Market, more: ByCode) -> Market:
    """The market with limits of bars that had none; `more` as `market_of` takes them."""
    up, down, without = _limits(market.codes, market.offsets, market.session, market.sessions, more)
    known = len(market.session) - without
    rows = _matching(market.codes, market.offsets, market.session, more, market.sessions) >= 0
    return replace(
        market,
        up=np.where(rows, up, market.up),
        down=np.where(rows, down, market.down),
        unlimited=market.unlimited - known,
    )


def _limits(
    codes: Sequence[str], offsets: Array, session: Array, sessions: Sequence[dt.date], limits: ByCode | None
) -> tuple[Array, Array, int]:
    if limits is None or limits.rows.is_empty():
        return np.full(len(session), NEVER, dtype=np.int32), np.zeros(len(session), dtype=np.int32), len(session)
    places = _matching(codes, offsets, session, limits, sessions)
    highest, lowest = _floats(limits.rows["up_limit"], STORED_NO_LIMIT), _floats(limits.rows["down_limit"], 0.0)
    up, down = bounded(places, highest, lowest, STORED_NO_LIMIT)
    return up, down, int((places < 0).sum())


def _records(market: Market, dividends: pl.DataFrame | None) -> dict[str, Array]:
    """The records of the market's codes whose ex-date is one of its sessions; several of a day as one."""
    columns: dict[str, Any] = {name: [] for name in ("code", "session", "cash", "bonus_par", "shares", "record")}
    if dividends is not None and not dividends.is_empty():
        known = dividends.filter(pl.col("ts_code").is_in(list(market.codes)), pl.col("ex_date").is_not_null())
        numbers = _numbers(known["ex_date"], market.sessions)
        together: dict[tuple[int, int], list[Any]] = {}
        for session, row in zip(numbers, known.iter_rows(named=True), strict=True):
            if session < 0:
                continue
            bonus = row["stk_bo_rate"] or 0.0
            transfer = row["stk_co_rate"] or max((row.get("stk_div") or 0.0) - bonus, 0.0)
            each = together.setdefault((market.number[row["ts_code"]], int(session)), [0, 0, 0, row["record_date"]])
            each[0] += parts(row["cash_div_tax"] or 0.0)
            each[1] += parts(bonus)
            each[2] += parts(bonus + transfer)
        for (code, session), (cash, par, new, record) in together.items():
            values = (code, session, cash, par, new, record or market.sessions[session])
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)
    dates = np.array(columns.pop("record"), dtype="datetime64[D]")
    return {name: np.array(values, dtype=np.int64) for name, values in columns.items()} | {"record": dates}


def _stepped(market: Market, factor: Array) -> Array:
    """The bars whose factor is not that of the code's bar before."""
    rows: Array = changes(factor, market.offsets, _STEP)
    return rows
