"""Upgrades: a new database, one made by an earlier version, one made by a newer version, and many processes at once."""

from __future__ import annotations

import dataclasses
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from quant_pipeline.market.columns import number
from quant_pipeline.market.datasets import DAILY_KLINE, DATASETS
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse import revisions, schema, tables
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.warehouse.bars import daily_bars

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


@pytest.fixture(autouse=True)
def _fresh_fingerprint() -> None:
    schema.fingerprint.cache_clear()


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        return compare_metadata(context, tables.metadata_of())


def make_older(database: Database, *statements: str) -> None:
    """Changes the database by hand, and makes it forget that it is current."""
    with database.connect() as connection:
        for statement in (*statements, "UPDATE quant_warehouse SET fingerprint = 'older'"):
            connection.execute(statement)


def test_a_new_database_is_what_the_specs_say(warehouse: Database) -> None:
    assert differences(warehouse) == []
    assert set(DATASETS) < set(read_sql(warehouse, _TABLES)["tablename"])


def test_a_database_of_an_earlier_version_keeps_its_rows(warehouse: Database) -> None:
    bars = daily_bars(20, 5)
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, bars, source="tushare")
    make_older(
        warehouse,
        "DROP VIEW daily_kline_hfq, daily_kline_qfq CASCADE",
        "ALTER TABLE daily_kline DROP COLUMN amount",
        "DROP INDEX daily_kline_ts_code",
        "DROP TABLE adj_factor",
        "ALTER TABLE sync_runs DROP COLUMN rows_rejected",
        "COMMENT ON TABLE stock_list IS 'as it was called once'",
        "CREATE TABLE notes_of_the_user (n int)",
    )
    warehouse.upgrade()
    assert [each[0] for each in differences(warehouse)] == ["remove_table"]  # the user's own, which stays
    assert read(warehouse, DAILY_KLINE, columns=bars.columns[:-1]).equals(bars.drop("amount").sort("ts_code", "trade_date"))
    assert read(warehouse, DAILY_KLINE)["amount"].null_count() == bars.height


def test_revisions_run_before_what_lacks_is_added(warehouse: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, daily_bars(3, 2), source="tushare")
    make_older(warehouse, "ALTER TABLE daily_kline RENAME COLUMN vol TO volume")
    with_a_revision = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, with_a_revision)
    (with_a_revision / "versions" / "9999_vol.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = '9999', '{newest_revision()}'\n"
        "def upgrade(): op.alter_column('daily_kline', 'volume', new_column_name='vol')\n"
    )
    monkeypatch.setattr(schema, "MIGRATIONS", with_a_revision)
    schema.fingerprint.cache_clear()
    warehouse.upgrade()
    assert differences(warehouse) == []
    assert read(warehouse, DAILY_KLINE)["vol"].null_count() == 0
    monkeypatch.undo()
    schema.fingerprint.cache_clear()
    with pytest.raises(schema.SchemaError, match="newer version"):
        warehouse.upgrade()


def newest_revision() -> str:
    return max(path.name for path in (schema.MIGRATIONS / "versions").glob("[0-9]*.py")).split("_")[0]


def test_to_add_a_data_set_or_a_column_is_to_add_a_spec(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    wider = dataclasses.replace(DAILY_KLINE, columns=(*DAILY_KLINE.columns, number("turnover", "换手率", "Of the float.", "%")))
    another = dataclasses.replace(DAILY_KLINE, name="etf_daily")
    monkeypatch.setattr(tables, "DATASETS", DATASETS | {"daily_kline": wider, "etf_daily": another})
    warehouse.upgrade()
    assert differences(warehouse) == []
    assert read(warehouse, wider).columns == [*DAILY_KLINE.column_names, "turnover"]
    assert read(warehouse, another).is_empty()


def test_a_database_of_before_gets_the_columns_that_tushare_documents_and_keeps_its_rows(warehouse: Database) -> None:
    since = {
        "stock_list": ("fullname", "enname", "cnspell", "curr_type", "is_hs", "act_name", "act_ent_type"),
        "price_limits": ("pre_close",),
    }
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO stock_list (ts_code, list_status, is_hs, source) VALUES ('600000.SH', 'L', 'H', 'tushare')"
        )
        connection.execute(
            "INSERT INTO price_limits (ts_code, trade_date, up_limit, down_limit, source)"
            " VALUES ('600000.SH', '2026-11-20', 11, 9, 'tushare')"
        )
    dropped = [f"ALTER TABLE {table} DROP COLUMN {column} CASCADE" for table, columns in since.items() for column in columns]
    make_older(warehouse, *dropped)
    warehouse.upgrade()
    assert differences(warehouse) == []
    for table, columns in since.items():
        (row,) = read(warehouse, DATASETS[table]).to_dicts()
        assert row["ts_code"] == "600000.SH"
        assert [row[column] for column in columns] == [None] * len(columns)


def test_a_new_required_column_asks_for_a_revision_where_rows_have_no_value(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, daily_bars(3, 2), source="tushare")
    needed = number("settle", "结算价", "Needed.", required=True)
    wider = dataclasses.replace(DAILY_KLINE, columns=(*DAILY_KLINE.columns, needed))
    monkeypatch.setattr(tables, "DATASETS", DATASETS | {"daily_kline": wider})
    with pytest.raises(schema.SchemaError, match=r"needs a revision.*settle"):
        warehouse.upgrade()
    assert read(warehouse, DAILY_KLINE).height == 6


def test_an_upgrade_with_nothing_to_do_writes_nothing(warehouse: Database) -> None:
    row = "SELECT xmin::text, ctid::text FROM quant_warehouse"
    with warehouse.connect() as connection:
        before = connection.execute(row).fetchone()
        warehouse.upgrade()
        assert connection.execute(row).fetchone() == before


def test_many_may_upgrade_at_once(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    others = [Database(warehouse.url, Mode.SANDBOX) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(Database.upgrade, others))
    for each in others:
        each.close()
    assert differences(warehouse) == []


def test_sandbox_and_live_never_share_a_database(warehouse: Database) -> None:
    with pytest.raises(schema.SchemaError, match="holds sandbox data, and QUANT_MODE is live"):
        Database(warehouse.url, Mode.LIVE).upgrade()


def test_every_column_says_what_it_is(warehouse: Database) -> None:
    columns = {column["name"]: column for column in sa.inspect(warehouse.engine).get_columns("daily_kline")}
    assert "成交量" in columns["vol"]["comment"]
    assert "[手]" in columns["vol"]["comment"]
    assert not columns["source"]["nullable"]
    assert not columns["updated_at"]["nullable"]
    key = sa.inspect(warehouse.engine).get_pk_constraint("daily_kline")["constrained_columns"]
    assert set(key) == set(DAILY_KLINE.key)


def test_reconciliation_s_sums_of_the_first_version_give_way_to_its_rows_by_code(warehouse: Database) -> None:
    make_older(
        warehouse,
        "DROP TABLE reconciliation, reconciliation_runs",
        "CREATE TABLE reconciliation (trade_date date, dataset text, field text, second_source text, compared bigint NOT NULL,"
        " PRIMARY KEY (trade_date, dataset, field, second_source))",
        "INSERT INTO reconciliation VALUES ('2026-11-20', 'daily_kline', 'close', 'baostock', 30)",
        f"UPDATE {schema.VERSION_TABLE} SET version_num = '0001'",
    )
    warehouse.upgrade()
    assert differences(warehouse) == []
    assert read_sql(warehouse, "SELECT count(ts_code) AS n FROM reconciliation").item() == 0


def test_messages_that_waited_before_there_were_deliveries_go_on_waiting(warehouse: Database) -> None:
    with warehouse.connect() as connection:  # a repetition of today's, which the older version does not know
        connection.execute(
            "INSERT INTO messages (dedupe_key, title, content, template, status) VALUES ('f', '', '', '', 'folded')"
        )
    revisions.downgrade(warehouse, "0002", even_if_rows_are_lost=True)
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO messages (dedupe_key, title, content, template, status, attempts, short_code, error, sent_at) VALUES "
            "('a', 'A', 'x', 'markdown', 'pending', 2, NULL, 'retryable: no answer', now()), "
            "('b', 'B', 'y', 'markdown', 'accepted', 1, 'receipt', NULL, now()), "
            "('c', 'C', 'z', 'markdown', 'failed', 1, NULL, 'permanent: 903', now())"
        )
    warehouse.upgrade()
    assert differences(warehouse) == []
    messages = read_sql(warehouse, "SELECT dedupe_key, status, routed_at IS NULL AS waits FROM messages ORDER BY id").rows()
    assert messages == [("f", "delivered", False), ("a", "pending", True), ("b", "accepted", False), ("c", "failed", False)]
    deliveries = read_sql(warehouse, "SELECT channel, state, receipts[1] AS receipt FROM deliveries ORDER BY id").rows()
    assert deliveries == [("pushplus", "delivered", None), ("pushplus", "accepted", "receipt"), ("pushplus", "failed", None)]
    counted = read_sql(warehouse, "SELECT count(*) AS calls FROM delivery_attempts WHERE account = 'pushplus'").item()
    assert counted == 2, "what was sent today counts against today's limit"


def test_the_digest_of_the_tables_does_not_hang_on_the_order_of_their_constraints() -> None:
    """SQLAlchemy copies them out of a set: processes of one version would not agree, and upgrade the tables in turns."""

    def of(*constraints: sa.Constraint) -> sa.schema.CreateTable:
        return sa.schema.CreateTable(sa.Table("sent", sa.MetaData(), sa.Column("message", sa.BigInteger), *constraints))

    one = of(sa.UniqueConstraint("message"), sa.CheckConstraint("message > 0"))
    other = of(sa.CheckConstraint("message > 0"), sa.UniqueConstraint("message"))
    assert str(one.compile()) != str(other.compile())
    assert schema._in_any_order(one) == schema._in_any_order(other) != schema._in_any_order(of(sa.UniqueConstraint("message")))
