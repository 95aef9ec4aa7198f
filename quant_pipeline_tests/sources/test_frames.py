"""Frames of the clients in polars: whatever types their columns have, nothing is lost and nothing raises."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl

from quant_pipeline.sources.frames import to_polars


def test_plain_columns_keep_their_types_and_their_gaps() -> None:
    frame = pd.DataFrame({"ts_code": ["600000.SH", None, "x"], "close": [1.5, np.nan, 2.5], "vol": [1, 2, 3]})
    rows = to_polars(frame)
    assert rows.rows() == [("600000.SH", 1.5, 1), (None, None, 2), ("x", 2.5, 3)]
    assert dict(rows.schema) == {"ts_code": pl.String, "close": pl.Float64, "vol": pl.Int64}


def test_every_mixed_column_comes_as_text_value_by_value() -> None:
    frame = pd.DataFrame({"pe": [1.5, "--", None], "pb": ["null", 2, "3"], "close": [1.0, 2.0, 3.0]})
    rows = to_polars(frame)
    assert rows["pe"].to_list() == ["1.5", "--", None]
    assert rows["pb"].to_list() == ["null", "2", "3"]
    assert rows["close"].to_list() == [1.0, 2.0, 3.0]


def test_things_that_are_no_values_come_as_text_too() -> None:
    frame = pd.DataFrame({"a": [{"day": 1}, ["x"]], "b": [dt.date(2026, 11, 20), "20261120"], "c": [True, 2]})
    rows = to_polars(frame)
    assert rows.height == 2
    assert rows["b"].to_list() == ["2026-11-20", "20261120"]


def test_no_rows_keep_their_columns_and_no_columns_are_none() -> None:
    assert to_polars(pd.DataFrame(columns=["ts_code", "close"])).columns == ["ts_code", "close"]
    assert to_polars(pd.DataFrame()).shape == (0, 0)


def test_numbered_columns_have_names() -> None:
    assert to_polars(pd.DataFrame([[1, 2]])).columns == ["0", "1"]
