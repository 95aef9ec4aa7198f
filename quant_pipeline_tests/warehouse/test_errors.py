"""What a real server refuses, through every driver that is used here, as the sentence that the user reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from quant_pipeline.cli import main
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.settings import Mode
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import DatabaseError, described, in_words
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.warehouse.bars import daily_bars

PASSWORD = "s3cret+pw"


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quant_pipeline.warehouse.database._WAIT", 0.0)


@pytest.fixture
def reader(warehouse: Database) -> Iterator[Database]:
    """The warehouse as a role sees it that may read and nothing else."""
    with warehouse.connect(autocommit=True) as owner:
        owner.execute("CREATE ROLE reader LOGIN")
        owner.execute("GRANT pg_read_all_data TO reader")
        own = Database(warehouse.url.replace("postgres@", "reader@"), Mode.SANDBOX)
        yield own
        own.close()
        owner.execute("DROP ROLE reader")


def alter(warehouse: Database, what: str) -> None:
    with warehouse.connect(autocommit=True) as owner:
        owner.execute(what)


def test_a_role_that_may_only_read_is_told_what_it_lacks(reader: Database) -> None:
    with (
        pytest.raises(DatabaseError, match=r"may not do that.*GRANT.*permission denied for table sync_runs"),
        reader.connect() as connection,
    ):
        connection.execute("DELETE FROM sync_runs")
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        reader.connect() as connection,
    ):
        upsert(connection, DAILY_KLINE, daily_bars(3, 2), source="tushare")
    with pytest.raises(DatabaseError, match="permission denied"), reader.pool.connection() as connection:
        connection.execute("DELETE FROM sync_runs")
    assert read_sql(reader, "SELECT count(*) FROM sync_runs").item() == 0


def test_a_role_that_may_not_make_tables_is_told_so_by_the_upgrade(warehouse: Database, reader: Database) -> None:
    alter(warehouse, "UPDATE quant_warehouse SET fingerprint = 'older'")
    with pytest.raises(DatabaseError, match=r"may not do that.*QUANT_DATABASE_URL.*permission denied"):
        reader.upgrade()


def test_a_database_that_may_only_be_read(warehouse: Database) -> None:
    alter(warehouse, f"ALTER DATABASE {warehouse.name} SET default_transaction_read_only = on")
    with pytest.raises(DatabaseError, match="may only be read: this is a standby"), warehouse.connect() as connection:
        connection.execute("DELETE FROM sync_runs")


def test_a_statement_timeout_is_told_with_how_to_lift_it(warehouse: Database) -> None:
    alter(warehouse, f"ALTER DATABASE {warehouse.name} SET statement_timeout = '20ms'")
    told = r"longer than statement_timeout allows: ALTER ROLE"
    with pytest.raises(DatabaseError, match=told), warehouse.connect() as connection:
        connection.execute("SELECT pg_sleep(5)")
    with pytest.raises(DatabaseError, match=told), warehouse.pool.connection() as connection:
        connection.execute("SELECT pg_sleep(5)")
    with pytest.raises(DatabaseError, match=told):
        read_sql(warehouse, "SELECT pg_sleep(5)::text")


def test_nobody_listens() -> None:
    database = Database(f"postgresql://someone:{PASSWORD}@127.0.0.1:1/quant", Mode.SANDBOX)
    with pytest.raises(DatabaseError, match=r"nobody answers there: start the server, or correct host and port") as raised:
        database.connect()
    assert PASSWORD not in str(raised.value)


def test_a_host_that_is_not_known() -> None:
    with pytest.raises(DatabaseError, match="the server's name is not known"):
        Database("postgresql://someone@no.such.host.invalid/quant", Mode.SANDBOX).connect()


def test_a_database_that_is_not_there_is_told_at_once(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quant_pipeline.warehouse.database._WAIT", 600.0)  # a second attempt would be seen
    missing = Database(urlsplit(warehouse.url)._replace(path="/no_such").geturl(), Mode.SANDBOX)
    with pytest.raises(DatabaseError, match=r"is not there: make it, CREATE DATABASE .*\"no_such\" does not exist"):
        missing.connect()


def test_all_connections_are_taken(warehouse: Database, reader: Database) -> None:
    alter(warehouse, "ALTER ROLE reader CONNECTION LIMIT 0")
    with pytest.raises(DatabaseError, match=r"all of the server's connections are taken: .*max_connections"):
        reader.connect()


def test_a_full_disk(warehouse: Database) -> None:
    full = 'could not extend file "base/1/2": No space left on device'
    with pytest.raises(DatabaseError, match=r"the disk .* is full: make room"), warehouse.connect() as connection:
        connection.execute(f"DO $$ BEGIN RAISE EXCEPTION '{full}' USING ERRCODE = 'disk_full'; END $$")


def test_a_full_disk_at_the_commit(warehouse: Database) -> None:
    alter(
        warehouse,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON source_state DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION full_disk()",
    )
    with pytest.raises(DatabaseError, match=r"the disk .* is full"), warehouse.connect() as connection:
        connection.execute("INSERT INTO source_state (source, api) VALUES ('ths', '*')")
    assert read_sql(warehouse, "SELECT count(*) FROM source_state").item() == 0


def test_a_session_that_the_server_ended(warehouse: Database) -> None:
    with pytest.raises(DatabaseError, match=r"stopped or crashed.*run it again"), warehouse.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_chinese_is_refused_with_the_line_that_makes_one_that_can(
    warehouse: Database, encoding: str
) -> None:
    poor = f"{warehouse.name}_poor"
    make = f"CREATE DATABASE {poor} ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    alter(warehouse, make)
    database = Database(urlsplit(warehouse.url)._replace(path=f"/{poor}").geturl(), Mode.SANDBOX)
    try:
        with pytest.raises(DatabaseError, match=f"{poor} is encoded in {encoding}") as raised:
            database.upgrade()
        line = re.search(r"CREATE DATABASE [^;]+;", str(raised.value))
        assert line is not None
        alter(warehouse, line[0])
        good = Database(urlsplit(warehouse.url)._replace(path="/quant_utf8").geturl(), Mode.SANDBOX)
        good.upgrade()
        good.close()
    finally:
        database.close()
        alter(warehouse, f"DROP DATABASE {poor}")
        alter(warehouse, "DROP DATABASE IF EXISTS quant_utf8 WITH (FORCE)")


def test_sqlalchemy_and_psycopg_2_are_understood_and_no_statement_is_shown(reader: Database) -> None:
    """Dagster's storage speaks through them."""
    for url in (reader.url.replace("postgresql://", "postgresql+psycopg2://"), reader.engine.url):
        with pytest.raises(sa.exc.DBAPIError) as raised, sa.create_engine(url).begin() as connection:
            connection.execute(sa.text("DELETE FROM sync_runs WHERE id = :name"), {"name": PASSWORD})
        words = in_words(raised.value)
        assert words is not None
        assert "permission denied for table sync_runs" in words
        assert PASSWORD not in words
        assert "DELETE" not in words


def test_a_command_prints_one_line(reader: Database, warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    alter(warehouse, "UPDATE quant_warehouse SET fingerprint = 'older'")
    monkeypatch.setenv("QUANT_DATABASE_URL", reader.url)
    result = CliRunner().invoke(main, ["db", "upgrade"])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith("quant-pipeline: the database user may not do that")


def test_an_asset_fails_with_the_sentence(reader: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from quant_pipeline.assets.operations import source_health
    from quant_pipeline.resources.notifier import NotifierResource
    from quant_pipeline.resources.warehouse import WarehouseResource

    monkeypatch.setenv("QUANT_DATABASE_URL", reader.url)
    ours = WarehouseResource()
    run = dg.materialize(
        [source_health], resources={"warehouse": ours, "notifier": NotifierResource(warehouse=ours)}, raise_on_error=False
    )
    (failure,) = (event.step_failure_data.error for event in run.all_events if event.is_step_failure)
    assert failure is not None
    assert failure.cause is not None
    assert "the database user may not do that: give it the tables" in failure.cause.message
    assert failure.cause.cause is None, "what a person reads is the sentence"


def test_what_an_error_was_raised_from_is_found(reader: Database) -> None:
    error = ValueError("wrapped")
    with reader.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        connection.execute("DELETE FROM sync_runs")
    error.__cause__ = raised.value
    assert "permission denied" in (in_words(error) or "")


def test_a_wrong_statement_stays_an_error_of_its_own_and_is_still_no_traceback_at_the_door(warehouse: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable) as raised, warehouse.connect() as connection:
        connection.execute("SELECT * FROM no_such_table")
    assert in_words(raised.value) is None
    assert 'relation "no_such_table" does not exist' in (described(raised.value) or "")
    assert described(KeyError("x")) is None
