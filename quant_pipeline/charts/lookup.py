"""Whose K-line a text asks for, among the lists and what has bars without standing in one."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from quant_pipeline.charts.kline import table_of, tables_of
from quant_pipeline.market.codes import Board, CodeError, board, is_former_bse, parse
from quant_pipeline.market.datasets import BSE_MAPPING
from quant_pipeline.market.listings import Kind, Listing, meant
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read

_OF_BOARDS = {Board.ETF: Kind.ETF, Board.CONVERTIBLE_BOND: Kind.CONVERTIBLE_BOND}


def by_code(database: Database, text: str, listings: Sequence[Listing]) -> list[Listing]:
    """As `meant`; an old code of the Beijing exchange (430047) means the new one, and a code that no list has is found all
    the same where it has bars: the lists may not be synced."""
    return meant(text, listings) or _renamed(database, text, listings) or _unlisted(database, text)


def _renamed(database: Database, text: str, listings: Sequence[Listing]) -> list[Listing]:
    try:
        code = parse(text)
    except CodeError:
        return []
    if not is_former_bse(code):
        return []
    mapping = read(database, BSE_MAPPING, columns=["o_code", "n_code"])
    return [each for new in mapping.filter(pl.col("o_code") == code)["n_code"] for each in meant(new, listings)]


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
