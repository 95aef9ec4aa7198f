"""Reads in Arrow: whole, by window, by code, by column, and by any SELECT."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.datasets import DAILY_KLINE, INDEX_DAILY, STOCK_LIST
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import DatabaseError
from quant_pipeline.warehouse.reads import read, read_sql, read_window, to_pandas
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.console.commanded import interrupt, spawned, until
from quant_pipeline_tests.warehouse.bars import FIRST_DAY, daily_bars

BARS = daily_bars(6, 10).sort("ts_code", "trade_date")


@pytest.fixture
def filled(warehouse: Database) -> Database:
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, BARS, source="tushare")
    return warehouse


def test_a_window_has_both_its_ends(filled: Database) -> None:
    start, end = FIRST_DAY + dt.timedelta(days=2), FIRST_DAY + dt.timedelta(days=4)
    expected = BARS.filter(pl.col("trade_date").is_between(start, end))
    assert_frame_equal(read(filled, DAILY_KLINE, start=start, end=end), expected)


def test_a_lookback_counts_sessions_and_not_days(filled: Database) -> None:
    sessions = [FIRST_DAY + dt.timedelta(days=number) for number in (0, 3, 4, 9)]
    calendar = Calendar(sessions, first=FIRST_DAY, last=FIRST_DAY + dt.timedelta(days=9))
    rows = read_window(filled, DAILY_KLINE, calendar, sessions[-1], 3, codes=["600000.SH"])
    assert rows["trade_date"].min() == sessions[1]
    assert rows["trade_date"].max() == sessions[-1]


def test_codes_and_columns_can_be_chosen(filled: Database) -> None:
    codes = ["600003.SH", "600001.SH", "600002.SH' OR 1=1 --"]
    rows = read(filled, DAILY_KLINE, codes=codes, columns=["close", "ts_code", "source"])
    expected = BARS.filter(pl.col("ts_code").is_in(codes)).select("close", "ts_code", pl.lit("tushare").alias("source"))
    assert_frame_equal(rows, expected)
    assert read(filled, DAILY_KLINE, codes=[]).is_empty()


def test_codes_may_be_spelled_as_one_likes_and_what_is_none_is_told(filled: Database) -> None:
    whole = read(filled, DAILY_KLINE, codes=["600001.SH", "600003.SH"])
    assert_frame_equal(read(filled, DAILY_KLINE, codes=["600001", "sh600003"]), whole)
    with pytest.raises(ValueError, match=r"'60000' is no security code; write 600000\.SH or 600000"):
        read(filled, DAILY_KLINE, codes=["60000"])
    with pytest.raises(ValueError, match=r"000001: an index is written with its market, 000001\.SH"):
        read(filled, INDEX_DAILY, codes=["000001"])


def test_the_order_is_the_keys_even_when_the_key_is_not_read(filled: Database) -> None:
    assert read(filled, DAILY_KLINE, columns=["close"])["close"].equals(BARS["close"])


def test_an_empty_table_still_has_the_specs_types(warehouse: Database) -> None:
    assert read(warehouse, STOCK_LIST).schema == {column.name: column.type.polars for column in STOCK_LIST.columns}


def test_a_column_that_is_not_there_is_named(warehouse: Database) -> None:
    with pytest.raises(KeyError, match="daily_kline has no column 'vwap'"):
        read(warehouse, DAILY_KLINE, columns=["vwap"])


def test_any_select_with_parameters_of_every_type(filled: Database) -> None:
    query = """
    SELECT count(*) AS n, %(text)s::text AS text, '5%%' AS share FROM daily_kline
    WHERE trade_date >= %(day)s AND ts_code = ANY(%(codes)s) AND trade_date = ANY(%(days)s) AND close > %(price)s
    """
    values = {
        "text": "it's \\ %(day)s",
        "day": FIRST_DAY,
        "days": [FIRST_DAY, FIRST_DAY + dt.timedelta(days=1)],
        "codes": ["600000.SH", "600001.SH"],
        "price": 0.5,
    }
    assert read_sql(filled, query, values).row(0) == (4, values["text"], "5%")


def test_pandas_has_dates_that_can_be_resampled(filled: Database) -> None:
    frame = to_pandas(read(filled, DAILY_KLINE, codes=["600000.SH"]))
    weekly = frame.set_index("trade_date")["close"].resample("W-FRI").last()
    assert isinstance(weekly.index, pd.DatetimeIndex)
    assert frame["close"].tolist() == BARS.filter(pl.col("ts_code") == "600000.SH")["close"].to_list()


def test_a_read_sees_what_was_committed_just_before(filled: Database) -> None:
    assert read(filled, DAILY_KLINE).height == 60
    with filled.connect() as connection:
        upsert(connection, DAILY_KLINE, daily_bars(6, 1, skip=20), source="tushare")
    assert read(filled, DAILY_KLINE).height == 66


_ENDLESS = "SELECT repeat('x', 1000) AS text, pg_sleep(0.001)::text AS slept FROM generate_series(1, 1000000)"
"""An answer that begins to arrive at once."""


def test_one_connection_serves_the_reads_that_follow_one_another(warehouse: Database) -> None:
    pids = {read_sql(warehouse, "SELECT pg_backend_pid()").item() for _ in range(3)}
    assert len(pids) == 1


def test_a_kept_connection_that_the_server_has_dropped_is_not_used_again(warehouse: Database) -> None:
    former = read_sql(warehouse, "SELECT pg_backend_pid() AS pid").item()
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (former,))
    assert read_sql(warehouse, "SELECT pg_backend_pid() AS pid").item() != former


def test_a_read_may_be_given_up_in_the_midst_of_its_answer_and_the_next_one_has_all_its_time(warehouse: Database) -> None:
    with pytest.raises(TimeoutError, match=r"longer than 0\.2 s"):
        read_sql(warehouse, _ENDLESS, timeout=0.2)
    assert read_sql(warehouse, "SELECT current_setting('statement_timeout') AS t").item() == "0"


def test_what_the_server_refuses_in_the_midst_of_an_answer_is_told_in_words(warehouse: Database) -> None:
    with warehouse.connect(autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {warehouse.name} SET statement_timeout = '200ms'")
    with pytest.raises(DatabaseError, match=r"longer than statement_timeout allows: ALTER ROLE"):
        read_sql(warehouse, _ENDLESS)


_READS_ON = """
import itertools, sys
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
database = Database(sys.argv[1], Mode.SANDBOX, home=None)
try:
    for count in itertools.count():
        if count == 20:
            print("reading", flush=True)
        short = count < 20 or sys.argv[2] == "short"
        read_sql(database, "SELECT 1 AS one" if short else "SELECT pg_sleep(600)::text AS slept")
except KeyboardInterrupt:
    print("KeyboardInterrupt", file=sys.stderr)
"""


@pytest.mark.parametrize("reads", ["short", "long"])
def test_ctrl_c_in_the_midst_of_reads_is_raised_and_ends_the_one_under_way(warehouse: Database, reads: str) -> None:
    """The driver's own way lost five of six that met short reads, and made an error of the server of the others."""
    process = spawned("-c", _READS_ON, warehouse.url, reads)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        with warehouse.connect(autocommit=True) as connection:
            sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'COPY (SELECT pg_sleep(600)%%'"

            def asleep() -> int:
                (count,) = connection.execute(sleeping, (warehouse.name,)).fetchone() or (0,)
                return int(count)

            if reads == "long":
                until(lambda: asleep() == 1, "the long read")
            assert interrupt(process) == "KeyboardInterrupt\n"
            until(lambda: asleep() == 0, "the end of the long read")
    finally:
        process.kill()
