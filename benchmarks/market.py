"""A made-up market, stored without a source: what reads, screens and backtests are measured over."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, PRICE_LIMITS, STOCK_LIST
from quant_pipeline.market.xshg import xshg
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import folder_of, snapshot, sync
from quant_pipeline.warehouse.lake.files import file_of, write
from quant_pipeline.warehouse.upsert import upsert

LAST = dt.date(2026, 11, 20)
SESSIONS = 2_500


@dataclass(frozen=True)
class Stored:
    """A database, and the folder of its lake."""

    database: Database
    folder: Path


@contextmanager
def empty() -> Iterator[Stored]:
    """A database without rows, and the folder of its lake; everything is removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="qk"))
    try:
        settings = Settings(QUANT_HOME=home, QUANT_DATABASE_URL=None)
        database = Database.from_settings(settings)
        database.upgrade()
        yield Stored(database, folder_of(settings))
        database.close()
    finally:
        server.stop(home)
        shutil.rmtree(home)


@contextmanager
def in_a_lake(codes: int, sessions: int = SESSIONS) -> Iterator[Stored]:
    """A lake of so many codes and sessions up to LAST.

    Its files bear the marks of a database that holds the first and the last session alone: readers take them for current.
    """
    with empty() as stored:
        tables = market(codes, sessions)
        days = tables[DAILY_KLINE]["trade_date"]
        for day in (days.min(), days.max()):
            _upserted(stored.database, DAILY_KLINE, tables[DAILY_KLINE].filter(trade_date=day))
        with snapshot(stored.database, None) as now:
            for dataset, rows in tables.items():
                for (year,), of_year in rows.group_by(pl.col("trade_date").dt.year()):
                    number = int(str(year))
                    write(file_of(stored.folder, dataset, number), dataset, of_year, now.label(dataset, number))
        del tables, rows, of_year
        yield stored


@contextmanager
def in_a_database(codes: int, sessions: int) -> Iterator[Stored]:
    """A database, and its lake, of so many codes and sessions up to LAST, with daily_basic and the list of the stocks."""
    with empty() as stored:
        tables = market(codes, sessions)
        keys = tables[ADJ_FACTOR].select("ts_code", "trade_date")
        for dataset, rows in {**tables, DAILY_BASIC: _fundamentals(keys)}.items():
            for _, of_month in rows.group_by(pl.col("trade_date").dt.truncate("1mo")):
                _upserted(stored.database, dataset, of_month)
        _upserted(stored.database, STOCK_LIST, _listed(keys["ts_code"].unique().sort()))
        sync(stored.database, stored.folder)
        with stored.database.connect(autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        yield stored


def _upserted(database: Database, dataset: Dataset, rows: pl.DataFrame) -> None:
    with database.connect() as connection:
        upsert(connection, dataset, rows.select(dataset.column_names), source="tushare")


def _fundamentals(keys: pl.DataFrame) -> pl.DataFrame:
    """daily_basic of these codes and days: random, but for what stands in no relation to prices."""
    chance = np.random.default_rng(2)
    columns = {
        column.name: pl.Series(np.round(chance.uniform(1, 100, keys.height), 4))
        for column in DAILY_BASIC.columns
        if column.name not in DAILY_BASIC.key
    }
    return keys.with_columns(**columns)


def _listed(codes: pl.Series) -> pl.DataFrame:
    """stock_list of these codes: thirty industries."""
    types = {column.name: column.type.polars for column in STOCK_LIST.columns}
    known = pl.DataFrame({"ts_code": codes}).with_columns(
        symbol=pl.col("ts_code").str.head(6),
        name=pl.concat_str(pl.lit("股份"), pl.col("ts_code").str.head(6)),
        industry=pl.concat_str(pl.lit("行业"), (pl.int_range(pl.len()) % 30).cast(pl.String)),
        list_status=pl.lit("L"),
        list_date=pl.lit(dt.date(2005, 1, 4)),
    )
    return known.with_columns(pl.lit(None, kind).alias(name) for name, kind in types.items() if name not in known.columns)


def market(codes: int, sessions: int) -> dict[Dataset, pl.DataFrame]:
    """Random walks in cents, with halts, limits, and an ex-date a year."""
    days = xshg().window(LAST, sessions)
    chance = np.random.default_rng(1)
    names = np.array([f"{600000 + number:06d}.SH" for number in range(codes)])
    shape = (codes, sessions)
    close = np.round(np.exp(np.cumsum(chance.normal(0, 0.02, shape), axis=1)) * 10 + 1, 2)
    before = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    factor = np.ones(shape)
    for place in range(200, sessions, 244):  # 2 % of cash a year
        factor[:, place:] *= 1 / 0.98
        before[:, place] = np.round(before[:, place] * 0.98, 2)
    up, down = np.round(before * 1.1, 2), np.round(before * 0.9, 2)
    close = np.clip(close, down, up)
    opened = np.clip(np.round(before * (1 + chance.normal(0, 0.015, shape)), 2), down, up)
    traded = chance.random(shape) > 0.01
    volume = np.round(chance.uniform(1e4, 1e5, shape), 2)
    key = {
        "ts_code": pl.Series(np.repeat(names, sessions)),
        "trade_date": pl.Series(np.tile(np.array(days, dtype="datetime64[D]"), codes)).cast(pl.Date),
    }
    prices = {
        "open": opened,
        "high": np.maximum(opened, close),
        "low": np.minimum(opened, close),
        "close": close,
        "pre_close": before,
        "change": np.round(close - before, 2),
        "pct_chg": np.round((close / before - 1) * 100, 4),
        "vol": volume,
        "amount": np.round(volume * (opened + close) / 20, 3),
    }
    source = pl.lit("tushare").alias("source")

    def rows(columns: dict[str, np.ndarray]) -> pl.DataFrame:
        return pl.DataFrame(key | {name: values.ravel() for name, values in columns.items()}).with_columns(source)

    return {
        DAILY_KLINE: rows(prices).filter(pl.Series(traded.ravel())),
        ADJ_FACTOR: rows({"adj_factor": factor}),
        PRICE_LIMITS: rows({"pre_close": before, "up_limit": up, "down_limit": down}),
    }
