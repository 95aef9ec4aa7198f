"""TimescaleDB by the statements that are issued; the embedded server has none, and is told nothing."""

from __future__ import annotations

import logging

import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS, STOCK_LIST
from quant_pipeline.warehouse import timescale
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql


def test_a_table_by_session_becomes_a_hypertable_whose_old_years_are_compressed() -> None:
    assert timescale.statements("2.18.0", [STOCK_LIST, DAILY_KLINE]) == [
        "CREATE EXTENSION IF NOT EXISTS timescaledb",
        "SELECT create_hypertable('daily_kline', by_range('trade_date', INTERVAL '1 year'), "
        "create_default_indexes => false, if_not_exists => true, migrate_data => true)",
        "ALTER TABLE daily_kline SET (timescaledb.enable_columnstore = true, "
        "timescaledb.segmentby = 'ts_code', timescaledb.orderby = 'trade_date')",
        "CALL add_columnstore_policy('daily_kline', after => INTERVAL '2 years', if_not_exists => true)",
    ]


def test_every_table_by_session_is_one_and_no_list() -> None:
    text = "\n".join(timescale.statements("2.22.1"))
    assert {name for name in DATASETS if f"create_hypertable('{name}'" in text} == {
        name for name, dataset in DATASETS.items() if dataset.dated
    }


@pytest.mark.parametrize(
    ("version", "used"), [(None, False), ("2.17.2", False), ("1.99", False), ("2.18.0-dev", True), ("3.0", True)]
)
def test_only_versions_that_know_these_statements_are_told(version: str | None, used: bool) -> None:
    assert bool(timescale.statements(version)) is used


def test_a_server_without_it_is_left_as_it_is(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        assert timescale.apply(connection) is False


def test_a_server_that_will_not_give_it_keeps_plain_tables(warehouse: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Offered and refused: the embedded server lacks its files."""
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE pg_available_extensions AS SELECT 'timescaledb' AS name, '2.20.0' AS default_version")
        connection.execute(f"ALTER DATABASE {warehouse.name} SET search_path = public, pg_catalog")
    warehouse.close()
    with caplog.at_level(logging.WARNING, "quant_pipeline"):
        warehouse.upgrade()
        assert "TimescaleDB" not in caplog.text, "a start of a current database does not look for it"
        warehouse.upgrade(again=True)
    assert "TimescaleDB and it cannot be used, plain tables do: extension" in caplog.text
    assert read_sql(warehouse, "SELECT count(*) FROM daily_kline").item() == 0
