"""From the clients' pandas frames to polars, without trusting their types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import pandas as pd


def to_polars(frame: pd.DataFrame) -> pl.DataFrame:
    """The same columns as polars; a column of mixed types comes as text, for the validation to judge value by value."""
    return pl.DataFrame([_column(str(name), frame[name]) for name in frame.columns])


def _column(name: str, values: pd.Series) -> pl.Series:
    try:
        return pl.Series(name, pl.from_pandas(values, nan_to_null=True))
    except Exception:  # pyarrow and polars raise several kinds for mixed values
        texts = [None if lost else str(value) for value, lost in zip(values, values.isna(), strict=True)]
        return pl.Series(name, texts, dtype=pl.String())
