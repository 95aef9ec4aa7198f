"""Which codes a backtest may buy: all A shares, some codes, those of boards, of watchlists, or an index's members by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.language import say
from quant_pipeline.market.codes import Board, CodeError, board_of, parse
from quant_pipeline.market.datasets import INDEX_WEIGHTS, STOCK_LIST, WATCHLISTS
from quant_pipeline.market.watchlists import WatchlistError, members
from quant_pipeline.strategies.universe import BOARDS
from quant_pipeline.warehouse.lake import Snapshot

ALL: Final = "all"
WATCHLIST: Final = "watchlist:"
"""Begins a word that names a watchlist: watchlist:core."""
_INDEXES: Final = {"sz50": "000016.SH", "hs300": "000300.SH", "zz500": "000905.SH", "zz1000": "000852.SH"}


def members_of(stored: Snapshot, text: str) -> pl.DataFrame | None:
    """Of an index (hs300, sz50, zz500, zz1000) its members by label: trade_date, ts_code; None: the universe is no index.

    Members on a day are those of the last label up to it: who left later is still one, who came later is not yet.
    BacktestError where none are stored.
    """
    index = _INDEXES.get(text.strip().lower())
    if index is None:
        return None
    rows = stored.read(INDEX_WEIGHTS, columns=("trade_date", "index_code", "con_code"))
    found = rows.filter(pl.col("index_code") == index).select("trade_date", ts_code="con_code")
    if found.is_empty():
        raise BacktestError(
            say("no members of {index} are stored: quant-pipeline sync --datasets index_weights", index=text.strip())
        )
    return found


def universe_of(stored: Snapshot, text: str) -> list[str] | None:
    """The codes of `all` (None: every A share), of boards (main, chinext, star, bse), watchlists (watchlist:NAME), codes in any
    spelling, by commas; or of an index, whoever was a member at some time (see members_of).

    BacktestError where a word is none of these, or no code is left.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise BacktestError(say("the universe is empty: write all, a board or an index ({boards}), or codes", boards=_known()))
    if ALL in words:
        return None
    if (members := members_of(stored, text)) is not None:
        return sorted(members["ts_code"].unique())
    found: set[str] = set()
    for word in words:
        found |= set(_codes_of(stored, word))
    if not found:
        raise BacktestError(say("the universe {text} is empty: stock_list names no such code; sync it first", text=text))
    return sorted(found)


def _known() -> str:
    return ", ".join((*BOARDS, *_INDEXES))


def _codes_of(stored: Snapshot, word: str) -> list[str]:
    if word.lower() in BOARDS:
        return _on_board(stored, BOARDS[word.lower()])
    if word.lower().startswith(WATCHLIST):
        try:
            found = members(stored.read(WATCHLISTS), [word[len(WATCHLIST) :]])
        except WatchlistError as error:
            raise BacktestError(str(error)) from None
        return [code for code in found if _traded(code)]
    return [_code(word)]


def _traded(code: str) -> bool:
    """Whether it is a security: a watchlist may hold indexes, which nobody can buy."""
    try:
        return parse(code) == code
    except CodeError:
        return False


def _on_board(stored: Snapshot, boards: Sequence[Board]) -> list[str]:
    codes = stored.read(STOCK_LIST, columns=["ts_code"])
    return codes.filter(board_of(pl.col("ts_code")).is_in([each.value for each in boards]))["ts_code"].to_list()


def _code(word: str) -> str:
    try:
        return parse(word)
    except CodeError:
        raise BacktestError(
            say(
                "{word} is no universe: write all, a board or an index ({boards}), watchlist:NAME, or codes",
                word=word,
                boards=_known(),
            )
        ) from None
