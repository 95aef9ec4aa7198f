"""stk_auction_o: the opening auction of the stocks that trade in a session, in 股 and 元."""

from __future__ import annotations

import numpy as np
import polars as pl

from quant_pipeline.sandbox.cells import Cells, Piece
from quant_pipeline.sandbox.streams import Purpose, stream

_USUAL, _SPREAD = 0.02, 0.6
"""Median share of the day's volume that the auction has, and how widely the shares spread."""
_MOST = 0.3


class Auctions:
    """Builds the rows of stk_auction_o: all of an auction is done at one price, the day's open."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def build(self, piece: Piece) -> pl.DataFrame:
        at = (piece.row, piece.column)
        bars = piece.year.bars
        draws = stream(self._cells.exchange.seed, Purpose.AUCTIONS, piece.year.number)
        share = np.exp(draws.standard_normal(bars.vol.shape, dtype=np.float32)[at] * _SPREAD) * _USUAL
        lots = np.maximum(np.rint(bars.vol[at] * np.minimum(share, _MOST)), 1).astype(np.int64)
        cents = bars.open[at].astype(np.int64)
        price = cents / 100
        return pl.DataFrame(
            {
                **self._cells.keys(piece),
                **dict.fromkeys(("close", "open", "high", "low"), price),
                "vol": lots * 100.0,
                "amount": (lots * cents).astype(np.float64),
                "vwap": price,
            }
        )
