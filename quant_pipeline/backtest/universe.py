"""Which codes a backtest may buy: all A shares, some codes, or those of some boards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.language import say
from quant_pipeline.market.codes import Board, CodeError, board_of, parse
from quant_pipeline.market.datasets import STOCK_LIST
from quant_pipeline.warehouse.lake import Snapshot

ALL: Final = "all"
_BOARDS: Final = {
    "main": (Board.SSE_MAIN, Board.SZSE_MAIN),
    "chinext": (Board.CHINEXT,),
    "star": (Board.STAR,),
    "bse": (Board.BSE,),
}


def universe_of(stored: Snapshot, text: str) -> list[str] | None:
    """The codes of `all` (None: every A share), of boards (main, chinext, star, bse), and codes in any spelling, by commas.

    BacktestError where a word is none of these, or no code is left.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise BacktestError(say("the universe is empty: write all, a board ({boards}), or codes", boards=", ".join(_BOARDS)))
    if ALL in words:
        return None
    found: set[str] = set()
    for word in words:
        found |= set(_on_board(stored, _BOARDS[word.lower()]) if word.lower() in _BOARDS else [_code(word)])
    if not found:
        raise BacktestError(say("the universe {text} is empty: stock_list names no such code; sync it first", text=text))
    return sorted(found)


def _on_board(stored: Snapshot, boards: Sequence[Board]) -> list[str]:
    codes = stored.read(STOCK_LIST, columns=["ts_code"])
    return codes.filter(board_of(pl.col("ts_code")).is_in([each.value for each in boards]))["ts_code"].to_list()


def _code(word: str) -> str:
    try:
        return parse(word)
    except CodeError:
        raise BacktestError(
            say("{word} is no universe: write all, a board ({boards}), or codes", word=word, boards=", ".join(_BOARDS))
        ) from None
