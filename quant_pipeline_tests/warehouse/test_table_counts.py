"""Counts of tables: one that did not change is not counted again, and after any change the figures are those of the rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS, INTRADAY_QUOTES, STOCK_LIST
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.table_counts import counts_of
from quant_pipeline_tests.sync.stored import bars, store

DAYS = [dt.date(2026, 11, day) for day in (18, 19, 20)]
CODES = ["600000.SH", "000001.SZ"]


@pytest.fixture
def counted(warehouse: Database) -> Database:
    """A database with bars and a list, both counted."""
    store(warehouse, DAILY_KLINE, bars(CODES, DAYS))
    store(warehouse, STOCK_LIST, [{"ts_code": code, "list_status": "L"} for code in CODES])
    counts_of(warehouse, [DAILY_KLINE, STOCK_LIST])
    return warehouse


def _execute(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(statement)


def _rows(database: Database) -> list[tuple[Any, ...]]:
    rows = counts_of(database, [DAILY_KLINE])[DAILY_KLINE.name]
    return [(row["source"], row["rows"], row["first"], row["latest"], row["codes"]) for row in rows]


def test_a_table_that_stands_as_it_was_counted_is_not_read(counted: Database) -> None:
    before = counts_of(counted, [DAILY_KLINE, STOCK_LIST])
    with counted.connect() as connection:
        connection.execute("LOCK TABLE daily_kline, stock_list IN ACCESS EXCLUSIVE MODE")  # who reads it waits for ever
        assert counts_of(counted, [DAILY_KLINE, STOCK_LIST]) == before
    assert _rows(counted) == [("tushare", 6, "2026-11-18", "2026-11-20", 2)]


@pytest.mark.parametrize(
    ("change", "figures"),
    [
        ("DELETE FROM daily_kline WHERE trade_date = '2026-11-20'", [("tushare", 4, "2026-11-18", "2026-11-19", 2)]),
        ("DELETE FROM daily_kline WHERE ts_code = '000001.SZ'", [("tushare", 3, "2026-11-18", "2026-11-20", 1)]),
        (
            "UPDATE daily_kline SET source = 'akshare' WHERE ts_code = '000001.SZ' AND trade_date = '2026-11-18'",
            [("tushare", 5, "2026-11-18", "2026-11-20", 2), ("akshare", 1, "2026-11-18", "2026-11-18", 1)],
        ),
        (
            'INSERT INTO daily_kline SELECT (jsonb_populate_record(each, \'{"trade_date": "2025-11-20"}\')).* '
            "FROM daily_kline AS each WHERE ts_code = '000001.SZ' AND trade_date = '2026-11-18'",
            [("tushare", 7, "2025-11-20", "2026-11-20", 2)],
        ),
        ("TRUNCATE daily_kline", []),
    ],
    ids=["session", "code", "source", "insert", "truncate"],
)
def test_after_a_change_by_hand_the_rows_are_counted(counted: Database, change: str, figures: list[tuple[Any, ...]]) -> None:
    _execute(counted, change)
    assert _rows(counted) == figures


def test_what_our_own_writes_bring_is_counted(counted: Database) -> None:
    store(counted, DAILY_KLINE, bars(["920001.BJ"], DAYS[:1]))
    assert _rows(counted) == [("tushare", 7, "2026-11-18", "2026-11-20", 3)]


def test_a_change_that_is_not_committed_is_not_told(counted: Database) -> None:
    with counted.connect() as connection:
        connection.execute("DELETE FROM daily_kline")
        assert _rows(counted) == [("tushare", 6, "2026-11-18", "2026-11-20", 2)]
    assert _rows(counted) == []


def test_where_nothing_may_be_written_it_is_counted_each_time(counted: Database) -> None:
    _execute(counted, "DELETE FROM daily_kline WHERE trade_date = '2026-11-20'")
    readers = Database(f"{counted.url}&options=-cdefault_transaction_read_only%3Don", counted.mode)
    for _ in range(2):
        assert _rows(readers) == [("tushare", 4, "2026-11-18", "2026-11-19", 2)]
    readers.close()


def test_every_data_set_can_be_counted_and_an_empty_one_has_no_rows(warehouse: Database) -> None:
    assert counts_of(warehouse, list(DATASETS.values())) == {name: [] for name in DATASETS}


def test_kept_quotes_that_come_every_few_seconds_are_counted_once_an_hour(warehouse: Database) -> None:
    def quote(at: str) -> dict[str, Any]:
        return {"ts_code": CODES[0], "trade_date": DAYS[0], "quote_time": at, "price": 8.0, "status": "trading"}

    def count() -> int:
        return sum(row["rows"] for row in counts_of(warehouse, [INTRADAY_QUOTES])[INTRADAY_QUOTES.name])

    store(warehouse, INTRADAY_QUOTES, [quote("09:30:00")])
    assert count() == 1
    store(warehouse, INTRADAY_QUOTES, [quote("09:30:03")])
    with warehouse.connect() as connection:
        connection.execute("LOCK TABLE intraday_quotes IN ACCESS EXCLUSIVE MODE")  # who reads it waits for ever
        assert count() == 1, "as it was counted a moment ago"
    _execute(warehouse, "UPDATE table_counts SET counted_at = counted_at - interval '61 minutes'")
    assert count() == 2
