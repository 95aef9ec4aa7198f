"""A session while it goes on: each code's price, volume and orders at the clock's moment, which end as the day's bar.

Of the session's bar and its code everything follows, so that whoever asks at the same moment gets the same. The path goes
from the open over the day's high and low to its close, a knot a minute.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation import name_periods
from quant_pipeline.sandbox.simulation.indexes_and_funds import Funds, Indexes
from quant_pipeline.sandbox.simulation.session_grid import GridPart, GridTable, SessionGrid
from quant_pipeline.sandbox.simulation.stock_days import StockDays

Floats = npt.NDArray[np.float64]

AUCTION = dt.time(9, 15)
_MATCHED, _OPEN, _CLOSE = dt.time(9, 25), dt.time(9, 30), dt.time(15, 0)
_MINUTES = 240
_AT_OPEN = 0.02
"""Share of the day's volume that the opening auction has."""
LEVELS = 5
_PATHS = 997
"""Shapes of a day; a code has another one every day."""
_BAR = ("pre_close", "open", "high", "low", "close", "vol", "amount")
_RT_K = (
    "ts_code", "name", "pre_close", "high", "open", "low", "close", "vol", "amount", "num",
    "ask_price1", "ask_volume1", "bid_price1", "bid_volume1", "trade_time",
)  # fmt: skip
_INDEX, _FUND, _STOCK = "index", "fund", "stock"


class Intraday:
    """rt_k of Tushare, and `quotes`, which the sites make theirs of: a row per code listed in the last session that began."""

    apis = frozenset({"rt_k", "quotes"})
    hours = frozenset({AUCTION})

    def __init__(self, grid: SessionGrid, days: StockDays, indexes: Indexes, funds: Funds) -> None:
        self._grid, self._indexes, self._funds = grid, indexes, funds
        self._stocks = GridTable(AUCTION, lambda year, sessions: year.events.listed[sessions], self._bars(days.bars))

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        """`ts_code`: a list; of a code with * (6*.SH) the stocks that fit; none: every stock. `kind`: stock, index or fund."""
        del rows
        moment = clock.now()
        sessions = self._grid.exchange.sessions
        day = sessions.dates[sessions.through(moment, AUCTION) - 1]
        asked, patterns = _asked(params.get("ts_code", ""))
        only = {"trade_date": day} | ({"ts_code": ",".join(asked)} if asked and not patterns else {})
        begun = name_periods.at(self._grid.exchange.register, sessions.through(moment, AUCTION))
        names = dict(zip(self._grid.ts_code.to_list(), begun.to_list(), strict=True))
        frames = [self._grid.frame(self._stocks, only, 1).with_columns(kind=pl.lit(_STOCK))]
        if asked:
            for part, kind in ((self._indexes, _INDEX), (self._funds, _FUND)):
                found = part.session(only, AUCTION).select("ts_code", *_BAR).filter(pl.col("ts_code").is_in(asked))
                frames.append(found.with_columns(halted=pl.lit(value=False), kind=pl.lit(kind)))
                names |= part.names
        bars = pl.concat(frames, how="diagonal")
        if asked:
            wanted = pl.col("ts_code").is_in(asked)
            bars = bars.filter(pl.any_horizontal(wanted, *(pl.col("ts_code").str.contains(each) for each in patterns)))
        name = pl.Series("name", [names.get(code) for code in bars["ts_code"]], dtype=pl.String)
        quotes = _at(bars.with_columns(name), day, moment)
        return quotes.select(_RT_K) if api == "rt_k" else quotes

    def _bars(self, bars: Callable[[GridPart], pl.DataFrame]) -> Callable[[GridPart], pl.DataFrame]:
        def build(piece: GridPart) -> pl.DataFrame:
            halted = pl.Series("halted", piece.year.events.halted[piece.row, piece.column])
            return bars(piece).select("ts_code", *_BAR).with_columns(halted)

        return build


def _asked(codes: str) -> tuple[list[str], list[str]]:
    """The codes, and as expressions those with a *."""
    listed = [code.strip().upper() for code in codes.split(",") if code.strip()]
    return listed, [f"^{code.replace('.', chr(92) + '.').replace('*', '[0-9]*')}$" for code in listed if "*" in code]


def minutes(moment: dt.datetime, day: str) -> float:
    """Minutes of trading that went by in the session of `day` at `moment`: negative before 09:30, 240 from the close on."""
    if moment.strftime("%Y%m%d") != day or moment.time() >= _CLOSE:
        return float(_MINUTES)
    since = (moment.hour - 9) * 60 + moment.minute - 30 + moment.second / 60
    return since if since <= 120 else max(120.0, since - 90)


def _at(bars: pl.DataFrame, day: str, moment: dt.datetime) -> pl.DataFrame:
    """The bars as they stand at the moment."""
    gone = minutes(moment, day)
    count = len(bars)
    opened, high, low, close, pre = (
        bars[name].to_numpy().astype(np.float64) for name in ("open", "high", "low", "close", "pre_close")
    )
    halted = bars["halted"].to_numpy()
    digits = np.where(bars["kind"] == _STOCK, 2, np.where(bars["kind"] == _FUND, 3, 4))
    tick = 10.0**-digits
    seeds = np.array([zlib.crc32(f"{code} {day}".encode()) for code in bars["ts_code"]], dtype=np.int64)
    price, top, bottom = _moved(opened, high, low, close, gone, seeds, moment)
    price, top, bottom = (_rounded(each, digits) for each in (price, top, bottom))
    share = _traded(gone)
    lots = np.floor(bars["vol"].to_numpy() * share)
    volume, amount = lots * 100, np.round(bars["amount"].to_numpy() * 1000 * share, 2)
    unmatched = halted | (moment.strftime("%Y%m%d") == day and moment.time() < _MATCHED)
    for each in (volume, amount, top, bottom):
        each[unmatched] = 0.0
    shown_open = np.where(unmatched, 0.0, opened)
    last = np.where(halted, pre, np.where(unmatched, 0.0, price))
    columns: dict[str, Any] = {
        "ts_code": bars["ts_code"], "name": bars["name"], "pre_close": pre, "high": top, "open": shown_open, "low": bottom,
        "close": last, "vol": volume, "amount": amount, "num": np.floor(volume / 1_000).astype(np.int64),
    }  # fmt: skip
    open_orders = ~halted & (bars["kind"] != _INDEX).to_numpy() & (gone < _MINUTES)
    for side, sign in (("bid", -1), ("ask", 1)):
        for level in range(LEVELS):
            # In the auction both sides show the price at which it would match, and no more.
            away = np.where(unmatched, 0 if level == 0 else np.nan, level + (sign > 0)) * sign
            quoted = np.where(open_orders, _rounded(price + away * tick, digits), np.nan)
            size = ((seeds >> (3 * level + (sign > 0))) % 90 + 1) * 100.0
            columns[f"{side}_price{level + 1}"] = pl.Series(quoted).fill_nan(None)
            columns[f"{side}_volume{level + 1}"] = pl.Series(np.where(np.isnan(quoted), np.nan, size)).fill_nan(None)
    columns["trade_time"] = [_shown(moment, day)] * count
    columns["halted"], columns["kind"] = bars["halted"], bars["kind"]
    return pl.DataFrame(columns).sort("ts_code")


def _moved(
    opened: Floats, high: Floats, low: Floats, close: Floats, gone: float, seeds: npt.NDArray[np.int64], moment: dt.datetime
) -> tuple[Floats, Floats, Floats]:
    """Price, high and low so far, of each code."""
    if gone >= _MINUTES:
        return close.copy(), high.copy(), low.copy()
    if gone <= 0:
        return opened.copy(), opened.copy(), opened.copy()
    knots = np.arange(_MINUTES + 1)
    shape = (seeds % _PATHS)[:, None]
    # The minutes of the high and of the low, never the same one, and neither the first nor the last.
    first, second = 5 + seeds % 110, 125 + seeds // 7 % 110
    high_first = (seeds // 11 % 2).astype(bool)
    at_high, at_low = np.where(high_first, first, second)[:, None], np.where(high_first, second, first)[:, None]
    a, b = (np.where(high_first, high, low)[:, None], np.where(high_first, low, high)[:, None])
    x, y = first[:, None], second[:, None]
    straight = np.where(
        knots <= x,
        opened[:, None] + (a - opened[:, None]) * knots / x,
        np.where(knots <= y, a + (b - a) * (knots - x) / (y - x), b + (close[:, None] - b) * (knots - y) / (_MINUTES - y)),
    )
    waves = np.sin(knots * (0.11 + shape * 0.0003)) + 0.6 * np.sin(knots * (0.43 + shape * 0.0007) + shape)
    ends = np.minimum(1.0, np.minimum(knots, _MINUTES - knots) / 20)
    path = np.clip(straight + waves * ends * ((high - low) * 0.12)[:, None], low[:, None], high[:, None])
    path = np.where(knots == at_high, high[:, None], np.where(knots == at_low, low[:, None], path))
    whole = int(gone)
    so_far = path[:, : whole + 1]
    now = path[:, whole] + (path[:, whole + 1] - path[:, whole]) * (gone - whole)
    top, bottom = np.maximum(so_far.max(axis=1), now), np.minimum(so_far.min(axis=1), now)
    # Between two minutes it trembles from snapshot to snapshot, within what it reached already.
    trembling = ((seeds + int(moment.timestamp()) // 3) % 3 - 1) * (high - low) * 0.02
    return np.clip(now + trembling, bottom, top), top, bottom


def _traded(gone: float) -> float:
    """The share of the day's volume that is done: much at the beginning and at the end."""
    if gone >= _MINUTES:
        return 1.0
    through = max(0.0, gone) / _MINUTES
    return _AT_OPEN + (0.99 - _AT_OPEN) * (through + 0.08 * float(np.sin(2 * np.pi * through)))


def _rounded(prices: Floats, digits: npt.NDArray[np.int64]) -> Floats:
    scale = 10.0**digits
    rounded: Floats = np.round(prices * scale) / scale
    return rounded


def _shown(moment: dt.datetime, day: str) -> str:
    """The exchange's own time of the snapshot: it stands still at noon and after the close, and ends every 3 s."""
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    if moment.strftime("%Y%m%d") != day or moment.time() >= _CLOSE:
        return f"{date} 15:00:00"
    time = moment.time().replace(second=moment.second // 3 * 3, microsecond=0)
    return f"{date} {dt.time(11, 30) if dt.time(11, 30) < time < dt.time(13, 0) else time}"
