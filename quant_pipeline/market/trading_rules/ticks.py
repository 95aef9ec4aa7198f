"""The tick: the smallest step of a price, by board and exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from quant_pipeline.market.codes import Board, board_of

USUAL_TICKS = 100
"""Ticks in a 元: an A share's price goes in 分."""


@dataclass(frozen=True)
class TickRule:
    """What has finer ticks than a share: how many make a 元 (a US dollar, a Hong Kong dollar)."""

    boards: tuple[Board, ...]
    exchanges: tuple[str, ...]
    per_yuan: int
    source: str


TICKS: Final = (
    TickRule((Board.ETF,), ("SH", "SZ"), 1000, "trading rules of both exchanges, 3.3.11: funds 0.001 元"),
    TickRule((Board.CONVERTIBLE_BOND,), ("SH", "SZ"), 1000, "convertible bond rules, 2022-08-01: 0.001 元"),
    TickRule((Board.B_SHARE,), ("SH",), 1000, "trading rules of the SSE, 3.3.11: B shares 0.001 US dollar"),
    TickRule((Board.B_SHARE,), ("SZ",), 100, "trading rules of the SZSE, 3.3.11: B shares 0.01 Hong Kong dollar"),
)


def ticks_per_yuan(ts_code: pl.Expr) -> pl.Expr:
    """How many ticks make a 元 of the code's price: 100 or 1000."""
    board, found = board_of(ts_code), pl.lit(USUAL_TICKS)
    for rule in TICKS:
        named = board.is_in([each.value for each in rule.boards]) & ts_code.str.tail(2).is_in(list(rule.exchanges))
        found = pl.when(named).then(rule.per_yuan).otherwise(found)
    return found.cast(pl.Int64)
