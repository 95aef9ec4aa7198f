"""The frames that a notebook is given: polars' within, pandas' for who did not ask otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from quant_pipeline.warehouse.reads import to_pandas

if TYPE_CHECKING:
    import pandas as pd


def given(frame: pl.DataFrame, as_: str, *, index: Sequence[str] = ()) -> pd.DataFrame | pl.DataFrame:
    """The frame as it was asked for; in pandas these columns are its index."""
    if as_ == "polars":
        return frame
    table = to_pandas(frame)
    return table.set_index(list(index) if len(index) > 1 else index[0]) if index else table
