"""What Tushare tells about every stock of a session: bars, factors, suspensions, limit prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import polars as pl

from quant_pipeline.sandbox.simulation import parameters
from quant_pipeline.sandbox.simulation.auctions import Auctions
from quant_pipeline.sandbox.simulation.exchange import Year
from quant_pipeline.sandbox.simulation.listing_boards import BLOCKS, limit_prices
from quant_pipeline.sandbox.simulation.session_grid import GridPart, GridTable, Mask, SessionGrid
from quant_pipeline.sandbox.simulation.valuations import Valuations

CLOSED = dt.time(16, 0)
"""When a session's bars appear."""
_NO_UP_LIMIT = {"SSE": 99_999.999, "SZSE": 999_999.999, "BSE": 99_999.999}
"""What stands for the up limit in a session that has none; the down limit is 0.01."""
_OPENING_HALT = "09:30-09:40"


class StockDays:
    """The APIs that have a row per stock and session."""

    def __init__(self, grid: SessionGrid) -> None:
        register = grid.exchange.register
        self._grid = grid
        self._register = register
        self._no_up_limit = np.array([_NO_UP_LIMIT[block.exchange] for block in BLOCKS])[register.block]
        self._tables = {
            "daily": GridTable(CLOSED, _traded, self.bars),
            "daily_basic": GridTable(CLOSED, _traded, Valuations(grid).build),
            "adj_factor": GridTable(dt.time(9, 20), _listed, self._adj_factor),
            "suspend_d": GridTable(dt.time(8, 40), _marked, self._suspend_d),
            "stk_limit": GridTable(dt.time(8, 40), _listed, self._stk_limit),
            "stk_auction_o": GridTable(dt.time(9, 26), _traded, Auctions(grid).build),
        }
        self.apis = frozenset(self._tables)
        self.hours = frozenset(table.ready for table in self._tables.values())

    def frame(self, api: str, params: Mapping[str, str], rows: int) -> pl.DataFrame:
        return parameters.matching(self._grid.frame(self._tables[api], params, rows), params, "suspend_type")

    def bars(self, piece: GridPart) -> pl.DataFrame:
        """The daily bars of the cells, whether the session is over or not."""
        bars, walk, at = piece.year.bars, piece.year.walk, (piece.row, piece.column)
        opened, high, low, close, pre = (
            matrix[at].astype(np.int64) for matrix in (bars.open, bars.high, bars.low, walk.close, walk.pre_close)
        )
        vol = bars.vol[at].astype(np.int64)
        # the mean price lies between low and high; 手 x 分 are 元
        amount = (vol * (opened + high + low + close) + 2) // 4
        return pl.DataFrame(
            {
                **self._grid.keys(piece),
                "open": opened / 100,
                "high": high / 100,
                "low": low / 100,
                "close": close / 100,
                "pre_close": pre / 100,
                "change": (close - pre) / 100,
                "pct_chg": np.round((close - pre) * 100 / pre, 4),
                "vol": vol.astype(np.float64),
                "amount": amount / 1000,
            }
        )

    def _adj_factor(self, piece: GridPart) -> pl.DataFrame:
        walk = piece.year.walk
        held = piece.row >= walk.ex_session[piece.column]
        factor = np.where(held, walk.after.factor[piece.code], walk.before.factor[piece.code])
        return pl.DataFrame({**self._grid.keys(piece), "adj_factor": factor})

    def _suspend_d(self, piece: GridPart) -> pl.DataFrame:
        at = (piece.row, piece.column)
        resumed, interrupted = piece.year.resumed[at], piece.year.interrupted[at]
        whole = pl.Series(resumed | ~interrupted)
        return pl.DataFrame(
            {
                **self._grid.keys(piece),
                "suspend_timing": pl.Series([_OPENING_HALT] * len(whole), dtype=pl.String).set(whole, None),
                "suspend_type": pl.Series(np.where(resumed, "R", "S").tolist(), dtype=pl.String),
            }
        )

    def _stk_limit(self, piece: GridPart) -> pl.DataFrame:
        at = (piece.row, piece.column)
        pre = piece.year.walk.pre_close[at].astype(np.float64)
        down, up = limit_prices(pre, piece.year.events.regime[at], self._register.is_bse[piece.code])
        keys = self._grid.keys(piece)
        return pl.DataFrame(
            {
                "trade_date": keys["trade_date"],
                "ts_code": keys["ts_code"],
                "up_limit": np.where(np.isinf(up), self._no_up_limit[piece.code], up / 100),
                "down_limit": down / 100,
                "pre_close": pre / 100,
            }
        )


def _traded(year: Year, sessions: slice) -> Mask:
    return year.trading[sessions]


def _listed(year: Year, sessions: slice) -> Mask:
    return year.events.listed[sessions]


def _marked(year: Year, sessions: slice) -> Mask:
    marked: Mask = year.events.halted[sessions] | year.resumed[sessions] | year.interrupted[sessions]
    return marked
