"""Codes of a board that the platform does not know yet: taken, and named."""

from __future__ import annotations

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.codes import Board, board_of
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.warehouse.reads import read_sql

_NEWS = marked(
    "{board} ({code}) is a board that this version does not know: its codes are stored as any other, but their limits and "
    "lots are unknown; upgrade."
)


def _known_boards(scope: Scope) -> Verdict:
    codes = _codes(scope)
    unknown = codes.filter(board_of(pl.col("ts_code")) == Board.UNKNOWN.value)
    beginnings = (
        unknown.group_by(prefix=pl.col("ts_code").str.head(3), market=pl.col("ts_code").str.tail(2))
        .agg(pl.col("ts_code").min().alias("first"), pl.len().alias("codes"))
        .sort("prefix", "market")
    )
    news = {
        f"unknown-board:{prefix}.{market}": told(_NEWS, board=f"{prefix}xxx.{market}", code=first)
        for prefix, market, first, _ in beginnings.iter_rows()
    }
    named = ", ".join(f"{prefix}xxx.{market} ({count})" for prefix, market, _, count in beginnings.iter_rows())
    text = told("{count} of {total} codes are of boards that nobody knows", count=unknown.height, total=codes.height) + (
        f": {named}" if named else ""
    )
    return Verdict(unknown.is_empty(), text, codes.height, unknown.head(PAGE), news)


def _codes(scope: Scope) -> pl.DataFrame:
    table = scope.dataset.name
    if not scope.dataset.dated:
        return read_sql(scope.database, f"SELECT ts_code FROM {table} ORDER BY ts_code")
    query = f"SELECT DISTINCT ts_code FROM {table} WHERE trade_date BETWEEN %(start)s AND %(end)s"
    found = [read_sql(scope.database, query, {"start": chunk[0], "end": chunk[-1]}) for chunk in scope.chunks()]
    return pl.concat(found).unique().sort("ts_code") if found else pl.DataFrame(schema={"ts_code": pl.String})


KNOWN_BOARDS = Check(
    "known_boards",
    "板块已知",
    "Every code is of a board whose rules are known; a message names a new one once.",
    _known_boards,
    warns=True,
)
