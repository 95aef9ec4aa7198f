"""Refused rows: whole, with their reason, once."""

from __future__ import annotations

import datetime as dt

import polars as pl

from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.validation import validate
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.rejected import store_rejected
from quant_pipeline_tests.warehouse.bars import daily_bars

DAY = dt.date(2015, 1, 5)
ANSWER = daily_bars(4, 1).with_columns(
    trade_date=pl.lit("20150105"),
    close=pl.Series(["x\0y", "nan", "10.0", "-3"]),
    vol=pl.Series([1.0, float("inf"), float("nan"), 5.0]),
    remark=pl.lit("of no column"),
)


def test_bad_rows_are_kept_whole_and_once(warehouse: Database) -> None:
    bad = validate(DAILY_KLINE, ANSWER, expected_session=DAY, sessions={DAY}).bad
    assert bad.height == 4
    with warehouse.connect() as connection:
        assert store_rejected(connection, DAILY_KLINE, bad, source="tushare", unit="2015-01-05") == 4
        assert store_rejected(connection, DAILY_KLINE, bad, source="tushare", unit="2015-01-05") == 0
        assert store_rejected(connection, DAILY_KLINE, bad[:1], source="akshare", unit="2015-01-05") == 1
        query = "SELECT row, reason, unit FROM rejected_rows WHERE source = 'tushare' ORDER BY row->>'ts_code'"
        rows = connection.execute(query).fetchall()
    assert [row["close"] for row, *_ in rows] == ["x␀y", "nan", "10.0", "-3"]
    assert [row["vol"] for row, *_ in rows] == ["1.0", "inf", "NaN", "5.0"]  # as text where JSON has no such number
    assert rows[0][0]["remark"] == "of no column"
    assert "close is no float" in rows[0][1]
    assert {unit for *_, unit in rows} == {"2015-01-05"}


def test_nothing_to_refuse_is_no_work(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        assert store_rejected(connection, DAILY_KLINE, pl.DataFrame(), source="tushare", unit="u") == 0
