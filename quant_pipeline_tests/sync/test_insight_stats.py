"""Statistics: rows, dates and codes per data set and source, as the tables have them."""

from __future__ import annotations

import datetime as dt

import polars as pl

from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS, STOCK_LIST, THS_MEMBERS, TRADE_CALENDAR
from quant_pipeline.sync.insight.stats import chosen, stats_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import bars, store

DAYS = [dt.date(2026, 11, day) for day in (18, 19, 20)]


def test_rows_dates_and_codes_are_counted_per_source(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars(["600000.SH", "000001.SZ"], DAYS))
    store(warehouse, DAILY_KLINE, bars(["920001.BJ"], DAYS[:2]), source="akshare")
    store(warehouse, DAILY_KLINE, bars(["600001.SH"], DAYS[2:]), source="akshare")
    found = stats_of(warehouse, [DAILY_KLINE])
    assert found.select("dataset", "zh", "source", "rows", "first", "latest", "codes").rows() == [
        ("daily_kline", "日线行情", "tushare", 6, DAYS[0], DAYS[2], 2),
        ("daily_kline", "日线行情", "akshare", 3, DAYS[0], DAYS[2], 2),
    ]
    assert found["bytes"].n_unique() == 1
    with warehouse.connect() as connection:
        row = connection.execute("SELECT pg_total_relation_size('daily_kline')").fetchone()
    assert row == (found["bytes"][0],)


def test_lists_have_rows_and_codes_where_they_have_codes(warehouse: Database) -> None:
    store(warehouse, STOCK_LIST, [{"ts_code": code, "list_status": "L"} for code in ("600000.SH", "000001.SZ")])
    store(warehouse, THS_MEMBERS, [{"ts_code": "885001.TI", "con_code": code} for code in ("600000.SH", "000001.SZ")])
    store(warehouse, TRADE_CALENDAR, [{"exchange": "SSE", "cal_date": day, "is_open": 1} for day in DAYS])
    found = stats_of(warehouse, [TRADE_CALENDAR, STOCK_LIST, THS_MEMBERS])
    assert found.select("dataset", "rows", "first", "latest", "codes").rows() == [
        ("trade_calendar", 3, DAYS[0], DAYS[2], 0),
        ("stock_list", 2, None, None, 2),
        ("ths_members", 2, None, None, 1),
    ]


def test_an_empty_table_is_told_as_empty_and_none_is_left_out(warehouse: Database) -> None:
    found = stats_of(warehouse, chosen([]))
    assert found["dataset"].to_list() == list(DATASETS)
    assert found.select(pl.col("rows").sum(), pl.col("source").null_count()).row(0) == (0, len(DATASETS))


def test_data_sets_are_told_in_the_platform_s_order() -> None:
    assert chosen(["adj_factor", "daily_kline"]) == [DAILY_KLINE, DATASETS["adj_factor"]]
