"""How Tushare tells the members of indexes: snapshots, some time in each month, of one index at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

import polars as pl

from quant_pipeline.market.datasets import INDEX_WEIGHTS

INDEX_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "000016.SH": ("000016.SH",),
    "000300.SH": ("399300.SZ", "000300.SH"),  # the history stands under Shenzhen's code
    "000905.SH": ("000905.SH", "399905.SZ"),
    "000852.SH": ("000852.SH",),
}
"""Our indexes, and the codes under which they are asked for, one after the other."""


def latest_snapshot(rows: pl.DataFrame, index: str, label: dt.date) -> pl.DataFrame:
    """The newest of the snapshots, as the month's members: its own day is `as_of`, its label the month's."""
    day = pl.col("trade_date").cast(pl.String)
    newest = rows.filter(day == day.max())
    return newest.with_columns(as_of=day, trade_date=pl.lit(label), index_code=pl.lit(index)).select(INDEX_WEIGHTS.column_names)
