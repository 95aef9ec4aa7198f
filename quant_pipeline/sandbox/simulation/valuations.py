"""daily_basic: turnover, valuation and capital of the stocks that traded in a session."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.sandbox.simulation.fundamentals import Fundamentals
from quant_pipeline.sandbox.simulation.session_grid import GridPart, SessionGrid


class Valuations:
    """Builds the rows of daily_basic."""

    def __init__(self, grid: SessionGrid) -> None:
        self._grid = grid
        self._exchange = grid.exchange
        self._fundamentals = Fundamentals(grid.exchange.seed, grid.exchange.register)

    def build(self, piece: GridPart) -> pl.DataFrame:
        year, walk, code, row = piece.year, piece.year.walk, piece.code, piece.row
        at = (row, piece.column)
        close, vol = walk.close[at].astype(np.float64), year.bars.vol[at].astype(np.float64)
        held = row >= walk.ex_session[piece.column]
        total = np.where(held, walk.after.shares[code], walk.before.shares[code])
        cash = np.where(held, walk.after.cash[code], walk.before.cash[code])
        floating = np.round(total * year.float_share[piece.column], 4)
        free = np.round(floating * self._exchange.register.free_share[code], 4)
        annual = self._fundamentals.annual(year.number, row, code)
        trailing = self._fundamentals.trailing(year.number, row, code)
        book, sales = self._fundamentals.book[code], self._fundamentals.sales[code]
        figures = {
            "close": close / 100,
            "turnover_rate": np.round(vol / floating, 4),
            "turnover_rate_f": np.round(vol / free, 4),
            "volume_ratio": np.round(vol / self._usual_volume(piece), 2),
            "pe": np.round(np.where(annual > 0, close / annual, np.nan), 4),
            "pe_ttm": np.round(np.where(trailing > 0, close / trailing, np.nan), 4),
            "pb": np.round(close / book, 4),
            "ps": np.round(close / sales, 4),
            "ps_ttm": np.round(close / (sales * 1.02), 4),
            "dv_ratio": np.round(cash / close * 100, 4),
            "dv_ttm": np.round(np.where(cash > 0, cash / close * 100, np.nan), 4),
            "total_share": total,
            "float_share": floating,
            "free_share": free,
            "total_mv": np.round(total * close / 100, 4),
            "circ_mv": np.round(floating * close / 100, 4),
        }
        return pl.DataFrame({**self._grid.keys(piece), **figures}).with_columns(pl.col(pl.Float64).fill_nan(None))

    def _usual_volume(self, piece: GridPart) -> npt.NDArray[np.float64]:
        """Mean volume of the five sessions before (of those that traded), NaN when none did."""
        year = piece.year
        volumes = year.bars.vol
        rows = piece.row
        if len(rows) and rows.min() < 5:
            last_week = np.zeros((5, volumes.shape[1]), dtype=volumes.dtype)
            if year.number > self._exchange.first_year:
                last = self._exchange.year(year.number - 1)
                _, here, there = np.intersect1d(year.events.codes, last.events.codes, return_indices=True)
                last_week[:, here] = last.bars.vol[-5:, there]
            volumes, rows = np.vstack([last_week, volumes]), rows + 5
        total, traded = np.zeros(len(rows)), np.zeros(len(rows))
        for back in range(1, 6):
            volume = volumes[rows - back, piece.column]
            total += volume
            traded += volume > 0
        usual = np.full(len(rows), np.nan)
        np.divide(total, traded, out=usual, where=traded > 0)
        return usual
