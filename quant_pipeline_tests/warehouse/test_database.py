"""The door to PostgreSQL: URLs, secrets, modes, restarts, and Dagster's tables beside ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest

from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.database import Database, DatabaseError
from quant_pipeline.warehouse.reads import read_sql

SECRET = "s3cret+pw"


@pytest.fixture(scope="module")
def own_home() -> Iterator[Path]:
    """A home whose server the tests may kill, with a user that needs a password."""
    directory = Path(tempfile.mkdtemp(prefix="qp"))
    rules = directory / "pg" / "pg_hba.conf"
    with psycopg.connect(server.start(directory), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE careful LOGIN SUPERUSER PASSWORD '{SECRET}'")
        connection.execute("CREATE DATABASE given OWNER careful")
        rules.write_text(f"local all careful scram-sha-256\n{rules.read_text()}")
        connection.execute("SELECT pg_reload_conf()")
    yield directory
    server.stop(directory)
    shutil.rmtree(directory)


def given_url(home: Path, password: str, scheme: str = "postgresql") -> str:
    return f"{scheme}://careful:{quote(password, safe='')}@/given?host={home / 'pg'}"


def test_the_embedded_database_is_made_once_per_mode(own_home: Path) -> None:
    first = Database.from_settings(Settings(QUANT_HOME=own_home))
    again = Database.from_settings(Settings(QUANT_HOME=own_home))
    live = Database.from_settings(Settings(QUANT_HOME=own_home, QUANT_MODE="live"))
    assert first.url == again.url
    assert (first.name, live.name) == ("quant_sandbox", "quant")
    for database in (first, live):
        database.upgrade()
        assert read_sql(database, "SELECT mode FROM quant_warehouse").item() == database.mode
        database.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_a_url_that_was_given_is_used_whatever_driver_it_names(own_home: Path, scheme: str) -> None:
    database = Database(given_url(own_home, SECRET, scheme), Mode.SANDBOX)
    database.upgrade()
    assert database.name == "given"
    assert database.url == given_url(own_home, SECRET)
    with database.engine.connect() as connection, database.pool.connection() as pooled, database.connect() as plain:
        users = [
            connection.exec_driver_sql("SELECT current_user").scalar(),
            *(each.execute("SELECT current_user").fetchone()[0] for each in (pooled, plain)),
            read_sql(database, "SELECT current_user::text").item(),
        ]
    assert users == ["careful"] * 4
    database.close()


def test_the_settings_url_wins_over_the_embedded_server(tmp_path: Path) -> None:
    url = "postgresql://someone@127.0.0.1:1/theirs"
    database = Database.from_settings(Settings(QUANT_HOME=tmp_path / "home", QUANT_DATABASE_URL=url))
    assert database.url == url
    assert not (tmp_path / "home").exists()


def test_a_wrong_password_stands_in_no_error(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quant_pipeline.warehouse.database._WAIT", 0.0)
    database = Database(given_url(own_home, "wrong+pw"), Mode.SANDBOX)
    with pytest.raises(DatabaseError, match="password authentication failed") as raised:
        database.connect()
    assert_no_secret(raised, "wrong+pw")
    with pytest.raises(DatabaseError) as raised:
        read_sql(database, "SELECT 1")
    assert_no_secret(raised, "wrong+pw")
    assert "wrong" not in repr(database)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:p@ss@127.0.0.1:5432/quant",
        "postgresql://user:zz9@127.0.0.1:zz9/quant?nonsense=zz9",
        "postgresql://user:pa%zzss@127.0.0.1/quant",
        "postgresql://user:zz9@zz9/zz9@127.0.0.1:5432/quant",
        "postgresql://user:5/zz9@127.0.0.1:5432/quant",
        "postgresql://user:zz9?zz9@127.0.0.1:5432/quant",
        "postgresql://user:zz9#zz9@127.0.0.1:5432/quant",
        "postgresql://user:[zz9@127.0.0.1:5432/quant",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(DatabaseError, match="percent-encoded") as raised:
        Database(url, Mode.SANDBOX).connect()
    assert_no_secret(raised, "ss@", "zz9", "pa%zzss")


def assert_no_secret(raised: pytest.ExceptionInfo[BaseException], *secrets: str) -> None:
    """Neither in the error nor in any that it came from, as a traceback would show them."""
    error: BaseException | None = raised.value
    while error is not None:
        assert not [secret for secret in secrets if secret in str(error)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_server_that_died_is_started_again_by_the_next_connection(own_home: Path) -> None:
    database = Database.from_settings(Settings(QUANT_HOME=own_home))
    assert read_sql(database, "SELECT 1 AS one").item() == 1  # the Arrow connection that is kept open dies with it
    victim = psutil.Process(server.pid(own_home))
    victim.kill()
    psutil.wait_procs([victim])
    assert read_sql(database, "SELECT 1 AS one").item() == 1
    with database.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with database.pool.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    database.close()


def test_a_connection_can_be_told_from_others_and_notices_a_cut_cable(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("quant-pipeline",)
        assert connection.info.get_parameters()["keepalives_idle"] == "30"


def test_dagsters_tables_stand_beside_ours(warehouse: Database) -> None:
    from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage

    for storage in (PostgresRunStorage, PostgresEventLogStorage, PostgresScheduleStorage):
        storage(warehouse.dagster_url).dispose()
    versions = read_sql(
        warehouse, "SELECT schemaname || '.' || tablename FROM pg_tables WHERE tablename LIKE %(name)s ORDER BY 1",
        {"name": "%alembic_version"},
    )  # fmt: skip
    assert versions.to_series().to_list() == ["dagster.alembic_version", "public.quant_alembic_version"]
    ours = read_sql(warehouse, "SELECT to_regclass('public.runs') IS NULL AND to_regclass('dagster.runs') IS NOT NULL AS ok")
    assert ours.item()
    warehouse.upgrade()


def test_options_of_a_url_that_was_given_are_kept_for_dagster() -> None:
    database = Database("postgresql://u@h/d?options=-cjit%3Doff&sslmode=require", Mode.SANDBOX)
    assert database.dagster_url == (
        "postgresql+psycopg2://u@h/d?options=-cjit%3Doff%20-csearch_path%3Ddagster%20-cTimeZone%3DUTC&sslmode=require"
    )


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the list of processes is read from /proc")
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://careful:{quote(SECRET, safe='')}@/given?host={{home}}",
        f"postgresql://careful@/given?host={{home}}&password={quote(SECRET, safe='')}",
    ],
    ids=["in front", "as a parameter"],
)
def test_psql_gets_the_password_where_ps_does_not_show_it(own_home: Path, url: str, tmp_path: Path) -> None:
    """psql runs `cat` on what the system tells everybody of its own process: its arguments."""
    home = str(own_home / "pg")
    environment = os.environ | {"QUANT_DATABASE_URL": url.format(home=quote(home, safe="")), "QUANT_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "quant_pipeline.cli", "db", "psql", "-At", "-c", "SELECT current_user"]
    look = ["-c", r"\! cat /proc/$PPID/cmdline"]
    shown = subprocess.run([*command, *look], env=environment, capture_output=True, text=True, check=True).stdout
    who, arguments = shown.split("\n", 1)
    assert who == "careful"
    assert arguments.split("\0")[1].startswith("postgresql://careful@/given?host=")
    assert SECRET not in arguments
    assert quote(SECRET, safe="") not in arguments
