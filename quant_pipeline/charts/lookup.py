"""Whose K-line a text asks for, among the lists and what has bars without standing in one."""

from __future__ import annotations

from collections.abc import Sequence

from quant_pipeline.charts.kline import table_of, tables_of
from quant_pipeline.market.codes import Board, CodeError, board, parse
from quant_pipeline.market.listings import Kind, Listing, meant
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read

_OF_BOARDS = {Board.ETF: Kind.ETF, Board.CONVERTIBLE_BOND: Kind.CONVERTIBLE_BOND}


def by_code(database: Database, text: str, listings: Sequence[Listing]) -> list[Listing]:
    """As `meant`; a code that no list has is found all the same where it has bars: the lists may not be synced."""
    return meant(text, listings) or _unlisted(database, text)


def _unlisted(database: Database, text: str) -> list[Listing]:
    try:
        code = parse(text)
    except CodeError:
        return []
    kind = _OF_BOARDS.get(board(code), Kind.STOCK)
    rows = read(database, table_of(kind), codes=[code], columns=["ts_code"])
    return [Listing(code, "", kind)] if rows.height else []


def fetching(listing: Listing) -> str:
    """The command that fetches the whole history of its bars, and of what adjusts them."""
    datasets = [dataset.name for dataset in tables_of(listing.kind) if dataset is not None]
    return f"quant-pipeline sync --datasets {','.join(datasets)} --symbols {listing.code} --all-history"
