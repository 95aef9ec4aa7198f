"""Ten years of bars into memory: from the lake, from PostgreSQL through ADBC, and with pandas' read_sql, in one run.

`python -m benchmarks.lake` stores 12.5 M bars (5,000 codes, 250 sessions a year), `--years 2` fewer. Each read is a process of
its own, so that its peak memory is its own; what imports cost is not counted.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.settings import Mode, Settings
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.lake import folder_of, snapshot, sync
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.warehouse.bars import FIRST_DAY, daily_bars

CODES = 5_000
SESSIONS = 250
"""Of a year; they follow each other day by day, which is all the same to a file."""
COLUMNS = ("ts_code", "trade_date", "open", "high", "low", "close", "vol")
ROUNDS = 3
"""Of each read the fastest is told: the first one of a process touches its memory for the first time."""
PEER_YEARS = 1
"""The peer's rate does not need more."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=10)
    years = parser.parse_args(argv).years
    home = Path(tempfile.mkdtemp(prefix="ql"))
    try:
        settings = Settings(QUANT_HOME=home, QUANT_DATABASE_URL=None)
        database = Database.from_settings(settings)
        database.upgrade()
        for year in range(years):
            _store(database, FIRST_DAY.year + year)
        Console().print(_measure(database, folder_of(settings), years))
        database.close()
    finally:
        server.stop(home)
        shutil.rmtree(home)


def _store(database: Database, year: int) -> None:
    skip = (dt.date(year, FIRST_DAY.month, FIRST_DAY.day) - FIRST_DAY).days
    with database.connect() as connection:
        for first in range(0, SESSIONS, 50):
            upsert(connection, DAILY_KLINE, daily_bars(CODES, 50, skip=skip + first), source="tushare")


def _measure(database: Database, folder: Path, years: int) -> Table:
    rows = years * CODES * SESSIONS
    table = Table(title=f"{rows:,} daily bars, {len(COLUMNS)} columns, sorted by code and day", title_justify="left")
    for column, side in (("what", "left"), ("s", "right"), ("rows/s", "right"), ("peak MB", "right"), ("", "left")):
        table.add_column(column, justify="right" if side == "right" else "left")

    def line(what: str, count: int, seconds: float, megabytes: float = 0, remark: str = "") -> None:
        memory = f"{megabytes:,.0f}" if megabytes else ""
        table.add_row(what, f"{seconds:.2f}", f"{count / seconds:,.0f}", memory, remark)

    began = time.perf_counter()
    written = sync(database, folder, datasets=[DAILY_KLINE])
    size = sum(file.bytes for file in written) / 1e6
    line("lake sync, all years", rows, time.perf_counter() - began, 0, f"{size:,.0f} MB of Parquet")
    _store_a_session(database)
    began = time.perf_counter()
    written = sync(database, folder, datasets=[DAILY_KLINE])
    line("lake sync after one more session", sum(file.rows for file in written), time.perf_counter() - began, 0, "one year")
    line("from the lake", rows, *_apart(_from, database.url, folder, COLUMNS), "to reach: 1.5 s")
    line("  two columns", rows, *_apart(_from, database.url, folder, ("ts_code", "close")))
    line("  one code, all columns", years * SESSIONS, *_apart(_of_a_code, database.url, folder))
    line("from PostgreSQL (ADBC)", rows, *_apart(_from, database.url, None, COLUMNS), "to reach: 1.5 M rows/s")
    line("pandas read_sql", PEER_YEARS * CODES * SESSIONS, *_apart(_read_sql, database.url), f"{PEER_YEARS} year of them")
    return table


def _store_a_session(database: Database) -> None:
    with database.connect() as connection:
        upsert(connection, DAILY_KLINE, daily_bars(CODES, 1, skip=300), source="tushare")


def _apart(read: object, *arguments: object) -> tuple[float, float]:
    """Seconds and peak memory (MB) of the read in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_fastest, read, *arguments).result()


def _fastest(read: object, *arguments: object) -> tuple[float, float]:
    assert callable(read)
    seconds = min(read(*arguments) for _ in range(ROUNDS))
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _from(url: str, folder: Path | None, columns: Sequence[str]) -> float:
    database = Database(url, Mode.SANDBOX)
    with snapshot(database, folder) as stored:
        began = time.perf_counter()
        rows = stored.read(DAILY_KLINE, columns=columns)
        seconds = time.perf_counter() - began
    assert rows["ts_code"].is_sorted()
    return seconds


def _of_a_code(url: str, folder: Path) -> float:
    with snapshot(Database(url, Mode.SANDBOX), folder) as stored:
        began = time.perf_counter()
        rows = stored.read(DAILY_KLINE, codes=["601234.SH"])
        seconds = time.perf_counter() - began
    assert rows.select(pl.col("ts_code").n_unique()).item() == 1
    return seconds


def _read_sql(url: str) -> float:
    import pandas as pd

    engine = Database(url, Mode.SANDBOX).engine
    until = dt.date(FIRST_DAY.year + PEER_YEARS, 1, 1)
    query = f"SELECT {', '.join(COLUMNS)} FROM daily_kline WHERE trade_date < '{until}' ORDER BY ts_code, trade_date"
    began = time.perf_counter()
    pd.read_sql(query, engine)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
