"""The marks of changes: none without one, and each of those years that changed."""

from __future__ import annotations

import datetime as dt

import polars as pl
import psycopg
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS, SCREEN_RESULTS, STOCK_LIST
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse import schema
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.table_changes import EVERY_YEAR, fold, state_of, states_query
from quant_pipeline.warehouse.upsert import replace_rows, upsert
from quant_pipeline_tests.warehouse.bars import daily_bars

YEARS = (2014, 2015, 2016, 2017)
TWO_YEARS = daily_bars(2, 400)  # 2015-01-05 to 2016-02-08
IN_2015 = daily_bars(2, 2)
LISTED = {"ts_code": "600000.SH", "symbol": "600000", "name": "浦发银行", "list_status": "L", "exchange": "SSE"}


def _changed(database: Database, before: dict[int, int], dataset: Dataset = DAILY_KLINE) -> list[int]:
    after = _states(database, dataset)
    return [year for year in after if after[year] != before[year]]


def _states(database: Database, dataset: Dataset = DAILY_KLINE) -> dict[int, int]:
    rows = read_sql(database, states_query(list(DATASETS))).iter_rows()
    sums = {(name, year): int(total) for name, year, total in rows}
    return {year: state_of(sums, dataset, year) for year in (YEARS if dataset.dated else (EVERY_YEAR,))}


def _upserted(database: Database, frame: pl.DataFrame) -> None:
    with database.connect() as connection:
        upsert(connection, DAILY_KLINE, frame, source="tushare")


def test_rows_that_come_mark_their_years_and_no_others(warehouse: Database) -> None:
    empty = _states(warehouse)
    _upserted(warehouse, IN_2015)
    assert _changed(warehouse, empty) == [2015]
    some = _states(warehouse)
    _upserted(warehouse, TWO_YEARS)  # by way of the merge: two sessions stand already
    assert _changed(warehouse, some) == [2015, 2016]


def test_rows_that_stand_already_mark_nothing(warehouse: Database) -> None:
    _upserted(warehouse, TWO_YEARS)
    before = _states(warehouse)
    _upserted(warehouse, TWO_YEARS)
    assert _changed(warehouse, before) == []


def test_of_a_history_only_the_year_of_what_is_new_or_restated_is_marked(warehouse: Database) -> None:
    lacks = pl.col("trade_date") == dt.date(2016, 2, 8)
    _upserted(warehouse, TWO_YEARS.filter(~lacks))
    before = _states(warehouse)
    _upserted(warehouse, TWO_YEARS)
    assert _changed(warehouse, before) == [2016]
    before = _states(warehouse)
    _upserted(warehouse, TWO_YEARS.with_columns(close=pl.col("close") + (pl.col("trade_date") == dt.date(2015, 1, 5))))
    assert _changed(warehouse, before) == [2015]


def test_rows_that_go_mark_their_years(warehouse: Database) -> None:
    hit = {"screen": "s", "ts_code": "600000.SH", "trade_date": dt.date(2016, 1, 4)}
    schema_of = {column.name: column.type.polars for column in SCREEN_RESULTS.columns}
    where = {"screen": "s", "trade_date": dt.date(2016, 1, 4)}
    frame = pl.DataFrame([hit], schema=schema_of)
    with warehouse.connect() as connection:
        replace_rows(connection, SCREEN_RESULTS, frame, where=where)
    before = _states(warehouse, SCREEN_RESULTS)
    with warehouse.connect() as connection:
        replace_rows(connection, SCREEN_RESULTS, frame.clear(), where=where)
    assert _changed(warehouse, before, SCREEN_RESULTS) == [2016]


def test_a_list_is_marked_as_a_whole(warehouse: Database) -> None:
    frame = pl.DataFrame([LISTED], schema={column.name: column.type.polars for column in STOCK_LIST.columns})
    before = _states(warehouse, STOCK_LIST)
    with warehouse.connect() as connection:
        replace_rows(connection, STOCK_LIST, frame, source="tushare")
    assert _changed(warehouse, before, STOCK_LIST) == [EVERY_YEAR]
    before = _states(warehouse, STOCK_LIST)
    with warehouse.connect() as connection:
        replace_rows(connection, STOCK_LIST, frame, source="tushare")
    assert _changed(warehouse, before, STOCK_LIST) == []


@pytest.mark.parametrize(
    ("statement", "years"),
    [
        ("UPDATE daily_kline SET close = 1 WHERE trade_date = '2016-01-04'", [2016]),
        ("UPDATE daily_kline SET trade_date = trade_date - 800 WHERE trade_date = '2016-02-08'", [2016]),
        ("UPDATE daily_kline SET trade_date = trade_date - 500 WHERE trade_date = '2016-02-08'", [2014, 2016]),
        ("DELETE FROM daily_kline WHERE trade_date = '2015-12-31'", [2015]),
        ("DELETE FROM daily_kline WHERE trade_date = '2035-12-31'", []),
        ("INSERT INTO daily_kline SELECT ts_code, '2035-12-31', source FROM stock_list", list(YEARS)),
        ("TRUNCATE daily_kline", list(YEARS)),
    ],
)
def test_what_others_do_to_the_table_is_marked_too(warehouse: Database, statement: str, years: list[int]) -> None:
    _upserted(warehouse, TWO_YEARS)
    before = _states(warehouse)
    with warehouse.connect() as connection:
        connection.execute(statement.replace("ts_code, '2035-12-31', source", "*").replace("stock_list", "daily_kline LIMIT 0"))
    assert _changed(warehouse, before) == years


def test_the_next_statement_of_the_same_transaction_is_another_matter(warehouse: Database) -> None:
    before = _states(warehouse)
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, IN_2015, source="tushare")
        connection.execute("INSERT INTO daily_kline SELECT * FROM daily_kline LIMIT 0")
    assert _changed(warehouse, before) == list(YEARS)


def test_what_is_rolled_back_marks_nothing(warehouse: Database) -> None:
    before = _states(warehouse)
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, IN_2015, source="tushare")
        connection.rollback()
    assert _changed(warehouse, before) == []


def test_folding_makes_few_marks_of_many_and_changes_no_state(warehouse: Database) -> None:
    for day in range(5):
        _upserted(warehouse, daily_bars(2, 1, skip=day))
    before = _states(warehouse)
    with warehouse.connect() as connection:
        fold(connection)
    assert _changed(warehouse, before) == []
    query = "SELECT year, count(*) FROM table_changes WHERE dataset = 'daily_kline' GROUP BY 1 ORDER BY 1"
    assert read_sql(warehouse, query).rows() == [(EVERY_YEAR, 1), (2015, 1)]


def test_a_user_who_may_write_the_table_needs_no_right_to_the_marks(warehouse: Database) -> None:
    before = _states(warehouse)
    with warehouse.connect() as connection:
        connection.execute("CREATE ROLE writer_of_bars")
        try:
            connection.execute("GRANT INSERT, SELECT ON daily_kline TO writer_of_bars")
            connection.execute("SET LOCAL ROLE writer_of_bars")
            connection.execute("INSERT INTO daily_kline SELECT * FROM daily_kline LIMIT 0")
            connection.execute("RESET ROLE")
        finally:
            connection.execute("DROP OWNED BY writer_of_bars; DROP ROLE writer_of_bars")
    assert _changed(warehouse, before) == list(YEARS)


def test_a_database_of_before_gets_the_marks_and_what_it_holds_counts_as_changed(warehouse: Database) -> None:
    _upserted(warehouse, IN_2015)
    with warehouse.connect() as connection:
        connection.execute("DROP FUNCTION note_table_change() CASCADE; DROP TABLE table_changes")
        connection.execute("UPDATE quant_warehouse SET fingerprint = 'of before'")
    schema.upgrade(warehouse.engine, Mode.SANDBOX)
    before = _states(warehouse)
    assert all(before.values())
    with warehouse.connect() as connection:
        connection.execute("UPDATE daily_kline SET close = 1")
    assert _changed(warehouse, before) == [2015]


def test_a_table_that_a_revision_makes_anew_is_marked(warehouse: Database) -> None:
    before = _states(warehouse)
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("DROP TABLE daily_kline CASCADE")
        connection.execute("UPDATE quant_warehouse SET fingerprint = 'of before'")
    schema.upgrade(warehouse.engine, Mode.SANDBOX)
    assert _changed(warehouse, before) == list(YEARS)
