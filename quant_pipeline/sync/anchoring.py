"""Factors of different sources have different bases: only ratios matter, so a foreign series is anchored on the stored one."""

from __future__ import annotations

import polars as pl

from quant_pipeline.language import told
from quant_pipeline.market.datasets import ADJ_FACTOR
from quant_pipeline.sources.failures import Incomplete
from quant_pipeline.sources.units import Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_STORED = """
SELECT trade_date, adj_factor AS stored FROM adj_factor
WHERE ts_code = %(code)s AND trade_date BETWEEN %(first)s AND %(last)s
"""
_ANY = "SELECT EXISTS (SELECT FROM adj_factor WHERE ts_code = %(code)s) AS any"
_DIGITS = 6


def anchored(database: Database, unit: Unit, frame: pl.DataFrame) -> pl.DataFrame:
    """One code's factors, scaled to those that are stored: on the last session before the unit, or on the first within it.

    Rows before the unit (sources give one, to anchor on) are left out. A code without any stored factor keeps the source's
    base. Incomplete when there are stored factors, and none on a session of the answer: the two cannot be joined.
    """
    if frame.is_empty():
        return frame
    days = frame.with_columns(pl.col("trade_date").cast(pl.String).str.replace_all("-", "").str.to_date("%Y%m%d", strict=False))
    values = {"code": unit.ts_code, "first": days["trade_date"].min(), "last": days["trade_date"].max()}
    common = days.join(read_sql(database, _STORED, values), on="trade_date").sort("trade_date")
    within = days.filter(pl.col("trade_date") >= unit.start)
    if common.is_empty():
        if read_sql(database, _ANY, values).item():
            raise Incomplete(
                told(
                    "no session in common with the stored {dataset} of {code}: it cannot be joined on",
                    dataset=ADJ_FACTOR.name,
                    code=unit.ts_code,
                )
            )
        return within
    before = common.filter(pl.col("trade_date") < unit.start).tail(1)
    row = (before if before.height else common.head(1)).row(0, named=True)
    scale = row["stored"] / row["adj_factor"]
    return within.with_columns((pl.col("adj_factor") * scale).round(_DIGITS))
