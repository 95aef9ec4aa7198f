"""stk_auction_o: the opening auction of the stocks that trade in a session, in 股 and 元."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from quant_pipeline.sandbox.simulation.random_streams import Purpose, stream
from quant_pipeline.sandbox.simulation.session_grid import GridPart, SessionGrid

_USUAL, _SPREAD = 0.02, 0.6
"""Median share of the day's volume that the auction has, and how widely the shares spread."""
_MOST = 0.3
_YEARS_KEPT = 6
"""A year's draws take about 5 MB."""


class Auctions:
    """Builds the rows of stk_auction_o: all of an auction is done at one price, the day's open."""

    def __init__(self, grid: SessionGrid) -> None:
        self._grid = grid
        self._draws = lru_cache(maxsize=_YEARS_KEPT)(self._draws_of)

    def build(self, piece: GridPart) -> pl.DataFrame:
        at = (piece.row, piece.column)
        bars = piece.year.bars
        share = np.exp(self._draws(piece.year.number, bars.vol.shape)[at] * _SPREAD) * _USUAL
        lots = np.maximum(np.rint(bars.vol[at] * np.minimum(share, _MOST)), 1).astype(np.int64)
        cents = bars.open[at].astype(np.int64)
        price = cents / 100
        return pl.DataFrame(
            {
                **self._grid.keys(piece),
                **dict.fromkeys(("close", "open", "high", "low"), price),
                "vol": lots * 100.0,
                "amount": (lots * cents).astype(np.float64),
                "vwap": price,
            }
        )

    def _draws_of(self, year: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        return stream(self._grid.exchange.seed, Purpose.AUCTIONS, year).standard_normal(shape, dtype=np.float32)
