"""Daily bars in the tables of vnpy's PostgreSQL adapter, which vnpy itself need not be there to fill.

`dbbardata` has a row per symbol, exchange, interval and time; `dbbaroverview` one per symbol, without which vnpy's data manager
shows nothing. Tables and not views: vnpy makes indexes upon them when it connects, and writes to them.

Shares, ETFs and indexes of interval `d`: raw prices [元], volume [股], turnover [元], at 00:00 exchange time, which is how vnpy
stores a day (database.timezone Asia/Shanghai). Only rows of symbols that were exported are ever touched. All of an export is
one transaction, which also notes which state of the tables it holds. Layout of vnpy_postgresql 1.1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

import polars as pl
import psycopg
from psycopg import sql
from pydantic import Field, SecretStr

from quant_pipeline import settings
from quant_pipeline.charts.kline import table_of
from quant_pipeline.exports.chosen import parts_of
from quant_pipeline.exports.contract import Export, ExportError, Origin, Parameters, Progress, Told, Written
from quant_pipeline.exports.traded import KINDS, bars_of
from quant_pipeline.language import marked, say
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import Connection, DatabaseError
from quant_pipeline.warehouse.lake import Snapshot

_EXCHANGES = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}
_LAYOUT = "1"
_AT_ONCE = 200_000
_FIGURES = ("volume", "turnover", "open_interest", "open_price", "high_price", "low_price", "close_price")
# Prices and volumes in double precision: what vnpy makes itself is real, which loses digits of the turnover.
_TABLES = f"""
CREATE TABLE IF NOT EXISTS dbbardata (
    id serial PRIMARY KEY, symbol varchar(255) NOT NULL, exchange varchar(255) NOT NULL, datetime timestamp NOT NULL,
    interval varchar(255) NOT NULL, {", ".join(f"{each} double precision NOT NULL" for each in _FIGURES)}
);
CREATE UNIQUE INDEX IF NOT EXISTS dbbardata_symbol_exchange_interval_datetime
    ON dbbardata (symbol, exchange, interval, datetime);
CREATE TABLE IF NOT EXISTS dbbaroverview (
    id serial PRIMARY KEY, symbol varchar(255) NOT NULL, exchange varchar(255) NOT NULL, interval varchar(255) NOT NULL,
    count integer NOT NULL, start timestamp NOT NULL, "end" timestamp NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS dbbaroverview_symbol_exchange_interval ON dbbaroverview (symbol, exchange, interval);
CREATE TABLE IF NOT EXISTS quant_export (part text PRIMARY KEY, label text NOT NULL);
CREATE TABLE IF NOT EXISTS quant_export_symbols (
    symbol varchar(255), exchange varchar(255), dataset text, PRIMARY KEY (symbol, exchange, dataset)
);
CREATE TEMPORARY TABLE touched (symbol varchar(255), exchange varchar(255)) ON COMMIT DROP;
CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS
    SELECT symbol, exchange, datetime, {", ".join(_FIGURES)} FROM dbbardata WITH NO DATA
"""
_SAME = "bar.symbol = new.symbol AND bar.exchange = new.exchange AND bar.datetime = new.datetime AND bar.interval = 'd'"
_BAR, _NEW = (", ".join(f"{table}.{each}" for each in _FIGURES) for table in ("bar", "new"))
# Updated and inserted apart: an INSERT … ON CONFLICT takes a number of the id's sequence for every row that is there already.
_UPDATE = f"""
WITH changed AS (
    UPDATE dbbardata AS bar SET {", ".join(f"{each} = new.{each}" for each in _FIGURES)} FROM incoming AS new
    WHERE {_SAME} AND ({_BAR}) IS DISTINCT FROM ({_NEW}) RETURNING bar.symbol, bar.exchange
), noted AS (INSERT INTO touched SELECT DISTINCT symbol, exchange FROM changed)
SELECT count(*) FROM changed
"""
_INSERT = f"""
WITH changed AS (
    INSERT INTO dbbardata (symbol, exchange, datetime, interval, {", ".join(_FIGURES)})
    SELECT new.symbol, new.exchange, new.datetime, 'd', {_NEW} FROM incoming AS new
    WHERE NOT EXISTS (SELECT FROM dbbardata AS bar WHERE {_SAME}) RETURNING symbol, exchange
), noted AS (INSERT INTO touched SELECT DISTINCT symbol, exchange FROM changed)
SELECT count(*) FROM changed
"""
_DELETE = f"""
WITH changed AS (
    DELETE FROM dbbardata AS bar USING quant_export_symbols AS known
    WHERE known.dataset = %(dataset)s AND bar.symbol = known.symbol AND bar.exchange = known.exchange AND bar.interval = 'd'
      AND bar.datetime >= %(first)s AND bar.datetime < %(next)s AND NOT EXISTS (SELECT FROM incoming AS new WHERE {_SAME})
    RETURNING bar.symbol, bar.exchange
), noted AS (INSERT INTO touched SELECT DISTINCT symbol, exchange FROM changed)
SELECT count(*) FROM changed
"""
_SYMBOLS = """
INSERT INTO quant_export_symbols SELECT DISTINCT symbol, exchange, %(dataset)s FROM incoming ON CONFLICT DO NOTHING
"""
_OVERVIEW = """
WITH affected AS (SELECT DISTINCT symbol, exchange FROM touched),
gone AS (
    DELETE FROM dbbaroverview AS seen USING affected
    WHERE seen.symbol = affected.symbol AND seen.exchange = affected.exchange AND seen.interval = 'd'
      AND NOT EXISTS (
        SELECT FROM dbbardata AS bar
        WHERE bar.symbol = seen.symbol AND bar.exchange = seen.exchange AND bar.interval = 'd'
      )
)
INSERT INTO dbbaroverview (symbol, exchange, interval, count, start, "end")
SELECT symbol, exchange, 'd', count(*), min(datetime), max(datetime)
FROM dbbardata JOIN affected USING (symbol, exchange) WHERE interval = 'd' GROUP BY symbol, exchange
ON CONFLICT (symbol, exchange, interval) DO UPDATE SET count = excluded.count, start = excluded.start, "end" = excluded."end"
"""


class VnpySettings(settings.Variables):
    """vnpy's own database."""

    url: SecretStr | None = Field(None, alias="QUANT_VNPY_URL")


class Vnpy(Export):
    """vnpy's bar tables."""

    name = "vnpy"
    zh = "vnpy 行情表"
    doc = marked(
        "Daily bars in vnpy's own tables (dbbardata, dbbaroverview): shares, ETFs and indexes, prices raw, volume in shares. "
        "By default in a database of its own beside ours; QUANT_VNPY_URL names another. Only years that changed are written."
    )
    examples = ("quant-pipeline export vnpy", "quant-pipeline export vnpy --json")
    reading = "vt_setting.json: database.name = postgresql; database.host, port, user, database: {place}"
    kinds = frozenset({"postgres"})
    Parameters: ClassVar = Parameters

    def place(self, origin: Origin) -> str:
        return _target(origin).url_and_password[0]

    def write(self, origin: Origin, progress: Told) -> Written:
        target = _target(origin)
        place = target.url_and_password[0]
        with _in_words(place), origin.rows() as stored, _connected(origin, target) as connection, connection.transaction():
            return _Writing(stored, connection, place).everything(origin, progress)


class _Writing:
    """One export under way, in one transaction."""

    def __init__(self, stored: Snapshot, connection: psycopg.Connection[Any], place: str) -> None:
        self._stored, self._connection, self._place = stored, connection, place

    def everything(self, origin: Origin, progress: Told) -> Written:
        self._connection.execute(_TABLES)
        known: dict[str, str] = dict(self._connection.execute("SELECT part, label FROM quant_export").fetchall())
        mode = origin.settings.mode.value
        if known.get("mode", mode) != mode:
            words = say(
                "{place} holds the bars of the mode {mode}: name another database", place=self._place, mode=known["mode"]
            )
            raise ExportError(words)
        parts = {part.shown: (kind, part) for kind in KINDS for part in parts_of(self._stored, [table_of(kind)])}
        labels = {name: f"{_LAYOUT}.{part.label}" for name, (_, part) in parts.items()} | {"mode": mode}
        stale = [name for name in parts if known.get(name) != labels[name]]
        gone = sorted(known.keys() - labels.keys())
        changes = {}
        for number, name in enumerate([*stale, *gone]):
            progress(Progress(number, len(stale) + len(gone), name))
            if name in parts:
                kind, part = parts[name]
                first, last = dt.date(part.year, 1, 1), dt.date(part.year, 12, 31)
                changes[name] = self._merged(part.dataset.name, part.year, bars_of(self._stored, kind, start=first, end=last))
            else:
                dataset, _, year = name.partition(" ")
                changes[name] = self._merged(dataset, int(year), None)
        self._connection.execute(_OVERVIEW)
        with self._connection.cursor() as cursor:
            cursor.execute("DELETE FROM quant_export")
            cursor.executemany("INSERT INTO quant_export VALUES (%s, %s)", list(labels.items()))
        written = [name for name in stale if changes[name]]
        removed = sum(1 for name in gone if changes[name])
        return Written(self._place, written, len(parts) - len(written), removed, sum(changes.values()))

    def _merged(self, dataset: str, year: int, bars: pl.DataFrame | None) -> int:
        """Makes the year's bars those; how many rows changed. None: it has none any more."""
        with self._connection.cursor() as cursor:
            cursor.execute("TRUNCATE incoming")
            if bars is not None:
                _copy(cursor, bars)
            cursor.execute("ANALYZE incoming")
            cursor.execute(_SYMBOLS, {"dataset": dataset})
            span = {"dataset": dataset, "first": dt.date(year, 1, 1), "next": dt.date(year + 1, 1, 1)}
            return sum(_counted(cursor, statement, span) for statement in (_DELETE, _UPDATE, _INSERT))


def _counted(cursor: psycopg.Cursor[Any], statement: str, values: dict[str, Any]) -> int:
    row = cursor.execute(statement, values if statement is _DELETE else None).fetchone()
    return int(row[0]) if row else 0


def _copy(cursor: psycopg.Cursor[Any], bars: pl.DataFrame) -> None:
    rows = bars.select(
        symbol=pl.col("ts_code").str.head(6),
        exchange=pl.col("ts_code").str.tail(2).replace_strict(_EXCHANGES),
        datetime=pl.col("trade_date"),
        volume="volume",
        turnover=pl.col("amount").fill_null(0.0),
        open_interest=pl.lit(0.0),
        **{f"{name}_price": name for name in ("open", "high", "low", "close")},
    )
    with cursor.copy(f"COPY incoming ({', '.join(rows.columns)}) FROM STDIN (FORMAT csv)") as copy:
        for each in rows.iter_slices(_AT_ONCE):
            copy.write(each.write_csv(include_header=False))


def _target(origin: Origin) -> Database:
    """vnpy's database: the one that is named, or our own's name with _vnpy behind it, on the same server."""
    url = settings.read(VnpySettings).url
    if url is not None:
        return Database(url.get_secret_value(), origin.settings.mode)
    ours = urlsplit(origin.database.url)
    home = origin.settings.home if origin.settings.database_url is None else None
    return Database(ours._replace(path=f"/{origin.database.name}_vnpy").geturl(), origin.settings.mode, home=home)


@contextmanager
def _connected(origin: Origin, target: Database) -> Iterator[Connection]:
    """A connection to it; the one beside ours is made where it is not there yet."""
    if settings.read(VnpySettings).url is None:
        with origin.database.connect(autocommit=True) as ours:
            if ours.execute("SELECT FROM pg_database WHERE datname = %s", (target.name,)).fetchone() is None:
                try:
                    ours.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(target.name)))
                except psycopg.errors.InsufficientPrivilege:
                    raise ExportError(
                        say(
                            "the database user may not make the database {name}: make it by hand (CREATE DATABASE {name}), or "
                            "name another one in QUANT_VNPY_URL",
                            name=target.name,
                        )
                    ) from None
    with target.connect() as connection:
        yield connection


@contextmanager
def _in_words(place: str) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        why = str(error)
        if settings.read(VnpySettings).url is not None:
            why = why.replace("QUANT_DATABASE_URL", "QUANT_VNPY_URL")
        raise ExportError(say("{place} cannot be used: {why}", place=place, why=why)) from None
