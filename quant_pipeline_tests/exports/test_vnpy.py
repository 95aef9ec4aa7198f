"""vnpy's tables: our bars in its units, the overview in step, one transaction, and nobody else's rows touched."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from quant_pipeline.exports.contract import ExportError, Origin, Written
from quant_pipeline.exports.vnpy import Vnpy
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read
from quant_pipeline_tests.exports.conftest import DAYS, LATE, SECRET, day, restate

Exported = Callable[..., Written]
PYTHON = os.environ.get("QUANT_VNPY_PYTHON", "")
"""A Python that has vnpy and vnpy_postgresql, which bring a desktop's libraries."""
YEARS = [f"{dataset} {year}" for dataset in ("daily_kline", "etf_daily", "index_daily") for year in (2025, 2026)]


@pytest.fixture(autouse=True)
def _dropped(origin: Origin) -> Iterator[None]:
    """The database beside the test's own goes with it."""
    yield
    with origin.database.connect(autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {origin.database.name}_vnpy WITH (FORCE)")


def address(origin: Origin) -> str:
    return urlsplit(origin.database.url)._replace(path=f"/{origin.database.name}_vnpy").geturl()


def rows(origin: Origin, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(address(origin)) as connection:
        return connection.execute(query, values).fetchall()


def changed(origin: Origin, statement: str, *values: object) -> None:
    with psycopg.connect(address(origin)) as connection:
        connection.execute(statement, values)


def bars(origin: Origin) -> list[tuple[Any, ...]]:
    return rows(origin, "SELECT * FROM dbbardata ORDER BY symbol, exchange, datetime")


def test_the_bars_are_ours_in_its_units(exported: Exported, origin: Origin) -> None:
    done = exported(Vnpy)
    assert list(done.parts) == YEARS
    assert done.rows == len(bars(origin)) == 4 * 260 - 4 - 100 + 3 * 260
    figures = "datetime, volume, turnover, open_price, high_price, low_price, close_price, open_interest"
    of_one = f"SELECT {figures} FROM dbbardata WHERE symbol = '600000' AND exchange = 'SSE' AND interval = 'd' ORDER BY 1"
    stored = read(origin.database, DAILY_KLINE, codes=["600000.SH"])
    expected = [
        (
            dt.datetime.combine(each["trade_date"], dt.time()),
            each["vol"] * 100,
            each["amount"] * 1000,
            *(each[name] for name in ("open", "high", "low", "close")),
            0.0,
        )
        for each in stored.iter_rows(named=True)
    ]
    back = rows(origin, of_one)
    assert [each[0] for each in back] == [each[0] for each in expected]
    assert [each[1:] for each in back] == [pytest.approx(each[1:]) for each in expected]
    assert {exchange for (exchange,) in rows(origin, "SELECT DISTINCT exchange FROM dbbardata")} == {"SSE", "SZSE", "BSE"}


def test_the_overview_is_in_step(exported: Exported, origin: Origin) -> None:
    exported(Vnpy)
    of_one = (
        "SELECT count, start::date, \"end\"::date FROM dbbaroverview WHERE symbol = %s AND exchange = %s AND interval = 'd'"
    )
    assert rows(origin, of_one, "688001", "SSE") == [(160, LATE, DAYS[-1])]
    assert rows(origin, of_one, "000001", "SZSE") == [(256, DAYS[0], DAYS[-1])]
    assert rows(origin, of_one, "000001", "SSE") == [(260, DAYS[0], DAYS[-1])], "the index of the same number"
    restate(origin, "DELETE FROM daily_kline WHERE ts_code = '688001.SH' AND trade_date = %s", LATE)
    restate(origin, "DELETE FROM daily_kline WHERE ts_code = '920001.BJ'")
    exported(Vnpy)
    assert rows(origin, of_one, "688001", "SSE") == [(159, DAYS[101], DAYS[-1])]
    assert rows(origin, of_one, "920001", "BSE") == []


def test_only_years_that_changed_are_written_and_a_second_run_writes_nothing(exported: Exported, origin: Origin) -> None:
    exported(Vnpy)
    before = bars(origin)
    assert not exported(Vnpy).changed
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01 WHERE trade_date = %s", day(-1))
    done = exported(Vnpy)
    assert (list(done.parts), done.rows, done.unchanged) == (["daily_kline 2026"], 4, 5)
    after = bars(origin)
    assert [each[0] for each in after] == [each[0] for each in before], "rows keep their ids, and use up no new ones"
    assert len(set(after) - set(before)) == 4
    assert rows(origin, "SELECT last_value FROM dbbardata_id_seq") == [(len(before),)]


def test_a_year_without_rows_any_more_is_gone(exported: Exported, origin: Origin) -> None:
    exported(Vnpy)
    restate(origin, "DELETE FROM daily_kline WHERE trade_date < '2026-01-01'")
    assert exported(Vnpy).removed == 1
    first = "SELECT min(datetime) >= '2026-01-01' FROM dbbardata WHERE symbol = '600000'"
    assert rows(origin, first) == [(True,)]


def test_bars_of_somebody_else_stay(exported: Exported, origin: Origin) -> None:
    exported(Vnpy)
    other = "INSERT INTO dbbardata (symbol, exchange, datetime, interval, volume, turnover, open_interest, open_price, "
    other += "high_price, low_price, close_price) VALUES (%s, %s, '2026-03-02 09:31', %s, 1, 1, 0, 1, 1, 1, 1)"
    for symbol, exchange, interval in (("600000", "SSE", "1m"), ("rb2610", "SHFE", "d"), ("601999", "SSE", "d")):
        changed(origin, other, symbol, exchange, interval)
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01")
    exported(Vnpy)
    assert rows(origin, "SELECT count(*) FROM dbbardata WHERE volume = 1") == [(3,)]


def test_tables_that_vnpy_made_itself_are_filled_and_stay(exported: Exported, origin: Origin) -> None:
    with origin.database.connect(autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {origin.database.name}_vnpy")
    figures = "volume turnover open_interest open_price high_price low_price close_price".split()
    changed(
        origin,
        'CREATE TABLE "dbbardata" ("id" SERIAL NOT NULL PRIMARY KEY, "symbol" VARCHAR(255) NOT NULL, '
        '"exchange" VARCHAR(255) NOT NULL, "datetime" TIMESTAMP NOT NULL, "interval" VARCHAR(255) NOT NULL, '
        + ", ".join(f'"{each}" REAL NOT NULL' for each in figures)
        + ")",
    )
    changed(
        origin,
        'CREATE UNIQUE INDEX "dbbardata_symbol_exchange_interval_datetime" ON "dbbardata" '
        '("symbol", "exchange", "interval", "datetime")',
    )
    assert exported(Vnpy).rows == 4 * 260 - 4 - 100 + 3 * 260
    restate(origin, "UPDATE daily_kline SET vol = vol")
    restate(origin, "UPDATE daily_kline SET close = close + 0.01, high = high + 0.01 WHERE trade_date = %s", day(-1))
    assert exported(Vnpy).rows == 4, "what was rounded when it was stored is no change"


KILLED = """
import os, signal
from quant_pipeline.exports import vnpy
from quant_pipeline.exports.contract import Origin
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import load
from quant_pipeline.warehouse.database import Database

merged, done = vnpy._Writing._merged, []

def counted(self, *arguments):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(merged(self, *arguments))
    return done[-1]

vnpy._Writing._merged = counted
settings = load()
vnpy.Vnpy(vnpy.Vnpy.Parameters()).run(Origin(settings, Database.from_settings(settings), xshg()))
"""


def test_killed_in_the_midst_nothing_half_is_seen_and_the_next_run_mends_it(exported: Exported, origin: Origin) -> None:
    exported(Vnpy)
    before = bars(origin)
    for table in ("daily_kline", "etf_daily", "index_daily"):
        restate(origin, f"UPDATE {table} SET close = close + 0.01, high = high + 0.01")
    environment = os.environ | {"QUANT_HOME": str(origin.settings.home), "QUANT_DATABASE_URL": origin.database.url}
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert bars(origin) == before
    assert list(exported(Vnpy).parts) == YEARS


def test_sandbox_and_live_never_share_a_database(exported: Exported, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(Vnpy)
    monkeypatch.setenv("QUANT_VNPY_URL", address(origin))
    before = bars(origin)
    live = Origin(Settings(QUANT_HOME=origin.settings.home, QUANT_MODE=Mode.LIVE), origin.database, origin.calendar)
    with pytest.raises(ExportError, match="holds the bars of the mode sandbox"):
        Vnpy(Vnpy.Parameters()).run(live)
    assert bars(origin) == before


def test_a_database_that_cannot_be_had_is_told_in_words_without_its_password(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, origin: Origin
) -> None:
    monkeypatch.setenv("QUANT_VNPY_URL", f"postgresql://somebody:{SECRET}@127.0.0.1:9/vnpy")
    with pytest.raises(ExportError, match=r"somebody@127\.0\.0\.1:9/vnpy cannot be used") as refused:
        exported(Vnpy)
    assert SECRET not in str(refused.value)
    away = urlsplit(origin.database.url)._replace(path="/not_there").geturl()
    monkeypatch.setenv("QUANT_VNPY_URL", away)
    with pytest.raises(ExportError, match="QUANT_VNPY_URL") as refused:
        exported(Vnpy)
    assert "QUANT_DATABASE_URL" not in str(refused.value)


def test_a_user_who_may_make_no_database_is_told_what_to_do(exported: Exported, origin: Origin) -> None:
    del exported
    rights = "CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"
    with origin.database.connect() as connection:
        connection.execute(rights)
    parts = urlsplit(origin.database.url)
    url = parts._replace(netloc=f"reader@{parts.netloc.rpartition('@')[2]}").geturl()
    reader = Origin(origin.settings, Database(url, Mode.SANDBOX), origin.calendar)
    try:
        with pytest.raises(ExportError, match=r"CREATE DATABASE test_\d+_vnpy"):
            Vnpy(Vnpy.Parameters()).run(reader)
    finally:
        reader.database.close()
        with origin.database.connect() as connection:
            connection.execute("DROP OWNED BY reader; DROP ROLE reader")


READ_BY_VNPY = """
import datetime as dt, json, sys
from vnpy.trader.setting import SETTINGS

host, user, database = sys.argv[1:]
SETTINGS.update({"database.name": "postgresql", "database.database": database, "database.host": host, "database.port": 5432,
                 "database.user": user, "database.password": "", "database.timezone": "Asia/Shanghai"})
from vnpy.trader.constant import Exchange, Interval
from vnpy.trader.database import get_database

database = get_database()
bars = database.load_bar_data("600000", Exchange.SSE, Interval.DAILY, dt.datetime(2020, 1, 1), dt.datetime(2027, 1, 1))
print(json.dumps({
    "bars": [[str(bar.datetime), bar.open_price, bar.close_price, bar.volume, bar.turnover] for bar in bars],
    "overview": [[each.symbol, each.exchange.value, each.interval.value, each.count, str(each.start), str(each.end)]
                 for each in database.get_bar_overview()],
}))
"""


@pytest.mark.skipif(not PYTHON, reason="QUANT_VNPY_PYTHON names no Python that has vnpy and vnpy_postgresql")
def test_vnpy_itself_reads_our_bars(exported: Exported, origin: Origin, tmp_path: Path) -> None:
    exported(Vnpy)
    info = psycopg.conninfo.conninfo_to_dict(address(origin))
    command = [PYTHON, "-c", READ_BY_VNPY, str(info["host"]), str(info["user"]), str(info["dbname"])]
    # vnpy takes the machine's own zone for that of the stored times.
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"TZ": "Asia/Shanghai"})
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    stored = read(origin.database, DAILY_KLINE, codes=["600000.SH"])
    expected = [
        [f"{each['trade_date']} 00:00:00+08:00", each["open"], each["close"], each["vol"] * 100, each["amount"] * 1000]
        for each in stored.iter_rows(named=True)
    ]
    assert [each[0] for each in told["bars"]] == [each[0] for each in expected]
    assert [each[1:] for each in told["bars"]] == [pytest.approx(each[1:]) for each in expected]
    assert ["600000", "SSE", "d", 260, f"{DAYS[0]} 00:00:00", f"{DAYS[-1]} 00:00:00"] in told["overview"]
    assert not exported(Vnpy).changed, "that vnpy has looked at them changes nothing"
