"""Which of the symbols that a user names are codes of which data set."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quant_pipeline.market.codes import Board, CodeError, board, parse
from quant_pipeline.market.dataset import Dataset

_WITH_PUBLISHER = re.compile(r"[0-9A-Z]{6,12}\.(SH|SZ|BJ|CSI|TI)", re.ASCII)
_BOARDS_OF = {"etf_list": {Board.ETF}, "convertible_bonds": {Board.CONVERTIBLE_BOND}}
_SHARES = set(Board) - {Board.ETF, Board.CONVERTIBLE_BOND}


def codes_of(dataset: Dataset, symbols: Sequence[str]) -> list[str]:
    """Those of the symbols that the data set has rows of, as it spells them: shares, funds, bonds, indexes or THS boards.

    An index (000300.SH) or a board (885001.TI) must bear its suffix. CodeError for a text that is no code of anything.
    """
    spelled = [_spelled(symbol.strip()) for symbol in symbols]
    return [code for code in spelled if _belongs(dataset, code)]


def _spelled(symbol: str) -> str:
    try:
        return parse(symbol)
    except CodeError:
        if _WITH_PUBLISHER.fullmatch(symbol.upper()):
            return symbol.upper()
        raise


def _belongs(dataset: Dataset, code: str) -> bool:
    if not dataset.universe:
        return False
    if dataset.universe[0].startswith("ths_"):
        return code.endswith(".TI")
    try:
        kind = board(parse(code))
    except CodeError:
        return "index_list" in dataset.universe and not code.endswith(".TI")
    return kind in _BOARDS_OF.get(dataset.universe[0], _SHARES) and "index_list" not in dataset.universe
