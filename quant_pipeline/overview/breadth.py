"""Breadth: of how many shares the price rose, fell, stayed, and how far."""

from __future__ import annotations

import itertools

import polars as pl

from quant_pipeline.overview.parts import Bin, Breadth

_EDGES = (3.0, 5.0, 7.0)
"""The steps of the histogram [%]; outside the last one everything is one bar."""


def breadth(bars: pl.DataFrame) -> Breadth:
    """`bars`: close, pre_close [元] and pct_chg [%] of every share that traded (see `changed`)."""
    rows = changed(bars)
    pct = rows["pct_chg"].drop_nulls()
    sign = rows["move"]
    return Breadth(
        codes=rows.height,
        up=int((sign > 0).sum()),
        down=int((sign < 0).sum()),
        flat=int((sign == 0).sum()),
        unknown=sign.null_count(),
        mean=_number(pct.mean()),
        median=_number(pct.median()),
        bins=_bins(rows),
    )


def changed(bars: pl.DataFrame) -> pl.DataFrame:
    """The bars with pct_chg [%] filled in from the prices where it is null, and `move`, its sign by the prices themselves."""
    difference = pl.col("close") - pl.col("pre_close")
    return bars.with_columns(
        pct_chg=pl.coalesce("pct_chg", pl.when(pl.col("pre_close") > 0).then(difference / pl.col("pre_close") * 100)),
        move=pl.coalesce(difference.round(6), "pct_chg").sign(),
    )


def _bins(rows: pl.DataFrame) -> list[Bin]:
    known = rows.drop_nulls(["pct_chg", "move"])
    size, move = known["pct_chg"].abs(), known["move"]
    bounds = [(0.0, _EDGES[0]), *itertools.pairwise(_EDGES)]
    last = _EDGES[-1]

    def side(sign: int, tone: str, word: str) -> list[Bin]:
        of_side = size.filter(move == sign)
        inner = [Bin(f"{low:.0f}~{high:.0f}", int(((of_side >= low) & (of_side < high)).sum()), tone) for low, high in bounds]
        return [*inner, Bin(f"{word}≥{last:.0f}", int((of_side >= last).sum()), tone)]

    return [*reversed(side(-1, "down", "跌")), Bin("平", int((move == 0).sum()), "flat"), *side(1, "up", "涨")]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
