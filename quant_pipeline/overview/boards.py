"""Boards: the mean change of their members, the strongest and the weakest, and who leads them."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from quant_pipeline.overview.parts import Board, Boards, Quote

SHOWN = 10
FEWEST = 3
"""Members that traded, below which a board says nothing."""


def boards(members: pl.DataFrame, bars: pl.DataFrame, quotes: Mapping[str, Quote]) -> Boards:
    """`members`: ts_code, name, kind (I industry, N concept) of the board, con_code · `bars`: ts_code, pct_chg [%], amount."""
    told = bars.select("pct_chg", "amount", con_code="ts_code").drop_nulls("pct_chg")
    traded = members.join(told, on="con_code")
    code = pl.col("con_code")
    first = code.sort_by("pct_chg", "amount", descending=[True, True]).first()
    last = code.sort_by("pct_chg", "amount", descending=[False, True]).first()
    judged = (
        traded.group_by("ts_code", "name", "kind")
        .agg(
            pct=pl.mean("pct_chg"), members=pl.len(), up=(pl.col("pct_chg") > 0).sum(), best=first, worst=last
        )
        .filter(pl.col("members") >= FEWEST)
        .sort("pct", "ts_code", descending=[True, False])
    )  # fmt: skip
    shown = min(SHOWN, judged.height // 2)
    return Boards(
        strongest=[_board(row, quotes[row["best"]]) for row in judged.head(shown).iter_rows(named=True)],
        weakest=[_board(row, quotes[row["worst"]]) for row in judged.reverse().head(shown).iter_rows(named=True)],
        count=judged.height,
    )


def _board(row: Mapping[str, object], leader: Quote) -> Board:
    return Board(
        ts_code=str(row["ts_code"]),
        name=str(row["name"]),
        kind=str(row["kind"]),
        pct_chg=float(str(row["pct"])),
        members=int(str(row["members"])),
        up=int(str(row["up"])),
        leader=leader,
    )
