"""Bulk upsert of daily bars, beside pandas `to_sql` and psycopg's executemany, in one run on one server.

`python -m benchmarks.upsert` writes 1 M rows, `--rows 12500000` ten years of the whole market.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.settings import Settings
from quant_pipeline.warehouse import server
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.warehouse.bars import daily_bars

CODES = 5_400
SESSIONS_A_BATCH = 20
PEER_ROWS = 1_000_000
"""The peers' rate does not need more."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark on an embedded server of its own and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args(argv).rows
    home = Path(tempfile.mkdtemp(prefix="qp"))
    try:
        database = Database.from_settings(Settings(QUANT_HOME=home, QUANT_DATABASE_URL=None))
        database.upgrade()
        Console().print(_measure(database, rows))
        database.close()
    finally:
        server.stop(home)
        shutil.rmtree(home)


def _batches(rows: int) -> Iterator[pl.DataFrame]:
    sessions = -(-rows // CODES)
    for start in range(0, sessions, SESSIONS_A_BATCH):
        yield daily_bars(CODES, min(SESSIONS_A_BATCH, sessions - start), skip=start)


def _measure(database: Database, rows: int) -> Table:
    table = Table(title=f"Upsert of {rows:,} daily bars (11 columns, {CODES:,} codes)", title_justify="left")
    for column, side in (("what", "left"), ("rows", "right"), ("rows/s", "right"), ("", "left")):
        table.add_column(column, justify="right" if side == "right" else "left")

    def line(what: str, count: int, seconds: float, remark: str = "") -> None:
        table.add_row(what, f"{count:,}", f"{count / seconds:,.0f}", remark)

    rates = _ours(database, rows)
    written = sum(count for count, _ in rates)
    tenth = max(len(rates) // 10, 1)
    line("upsert, new rows", written, sum(seconds for _, seconds in rates), "into a growing table")
    line("  its first tenth", *_total(rates[:tenth]))
    line("  its last tenth", *_total(rates[-tenth:]))
    line("upsert, the same rows again", *_total(_ours(database, min(rows, PEER_ROWS))), "nothing is written")
    sessions = [_timed(database, daily_bars(CODES, 1, skip=100_000 + number)) for number in range(10)]
    middle = sorted(sessions)[len(sessions) // 2]
    line("upsert, one session", CODES, middle, f"{middle * 1000:.0f} ms (median of {len(sessions)})")
    read(database, DAILY_KLINE, codes=["600000.SH"])  # opens the connection
    began = time.perf_counter()
    line("read into polars", read(database, DAILY_KLINE).height, time.perf_counter() - began, "sorted by its key")
    for name, write in (("pandas to_sql", _to_sql), ("psycopg executemany", _executemany)):
        line(name, *_total(_peer(database, min(rows, PEER_ROWS), write)), "new rows")
    return table


def _total(rates: Sequence[tuple[int, float]]) -> tuple[int, float]:
    return sum(count for count, _ in rates), sum(seconds for _, seconds in rates)


def _ours(database: Database, rows: int) -> list[tuple[int, float]]:
    return [(batch.height, _timed(database, batch)) for batch in _batches(rows)]


def _timed(database: Database, batch: pl.DataFrame) -> float:
    began = time.perf_counter()
    with database.connect() as connection:
        upsert(connection, DAILY_KLINE, batch, source="tushare", priority=("tushare",))
    return time.perf_counter() - began


def _peer(database: Database, rows: int, write: Callable[[Database, pl.DataFrame], None]) -> list[tuple[int, float]]:
    """A peer's rates on a table of the same columns, key and index."""
    with database.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS peer; CREATE TABLE peer (LIKE daily_kline INCLUDING ALL)")
    rates = []
    for batch in _batches(rows):
        began = time.perf_counter()
        write(database, batch.with_columns(source=pl.lit("tushare")))
        rates.append((batch.height, time.perf_counter() - began))
    return rates


def _to_sql(database: Database, batch: pl.DataFrame) -> None:
    batch.to_pandas().to_sql("peer", database.engine, if_exists="append", index=False)


def _executemany(database: Database, batch: pl.DataFrame) -> None:
    columns = ", ".join(batch.columns)
    changes = ", ".join(f"{name} = excluded.{name}" for name in batch.columns)
    statement = (
        f"INSERT INTO peer ({columns}) VALUES ({', '.join(['%s'] * batch.width)}) "
        f"ON CONFLICT (ts_code, trade_date) DO UPDATE SET {changes}"
    )
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(statement, batch.iter_rows())


if __name__ == "__main__":
    main()
