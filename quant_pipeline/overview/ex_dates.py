"""Ex-dates: where the adjustment factor took a step."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from quant_pipeline.overview.parts import ExDate, ExDates, Quote

STEP = 1e-4
"""A factor that grew by less did so in the last digits that a source writes."""


def ex_dates(factors: pl.DataFrame, quotes: Mapping[str, Quote], names: Mapping[str, str]) -> ExDates:
    """`factors`: ts_code, adj_factor, former_factor, former_close, pre_close, each share against its own session before."""
    step = pl.col("adj_factor") / pl.col("former_factor") - 1
    found = factors.with_columns(step=step).filter(pl.col("step").abs() > STEP).sort("step", descending=True)
    return ExDates(
        [
            ExDate(
                quotes.get(row["ts_code"], Quote(row["ts_code"], names.get(row["ts_code"], ""))),
                row["step"] * 100,
                row["former_close"],
                row["pre_close"],
            )
            for row in found.iter_rows(named=True)
        ]
    )
