"""Small, sound rows for the tests of the checks: written straight into the warehouse, then spoilt by the test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, STOCK_LIST
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sync.checks import Scope, Verdict, checks_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.upsert import upsert

NOW = "2026-11-20T18:00"
LATEST = dt.date(2026, 11, 20)
CALENDAR = xshg()
LISTED = dt.date(2020, 1, 2)
MAIN = [f"{600000 + n}.SH" for n in range(40)]
CHINEXT = [f"{300001 + n}.SZ" for n in range(20)]
BSE = [f"{920001 + n}.BJ" for n in range(4)]
CODES = [*MAIN, *CHINEXT, *BSE]


def sessions(count: int) -> tuple[dt.date, ...]:
    """The last sessions."""
    return CALENDAR.window(LATEST, count)


def store(
    database: Database, dataset: Dataset, rows: pl.DataFrame | Iterable[Mapping[str, Any]], source: str = "tushare"
) -> None:
    """Writes rows of the data set; the columns that they lack are null."""
    types = {column.name: column.type.polars for column in dataset.columns}
    given = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(list(rows))
    frame = given.select(
        (pl.col(name) if name in given.columns else pl.lit(None)).cast(dtype).alias(name) for name, dtype in types.items()
    )
    with database.connect() as connection:
        upsert(connection, dataset, frame, source=source)


def execute(database: Database, statement: str, *values: object) -> None:
    with database.connect() as connection:
        assert connection.execute(statement, values).rowcount, "the test spoils nothing"


def judged(database: Database, dataset: Dataset, check: str, days: Sequence[dt.date]) -> Verdict:
    """The verdict of one of the data set's checks over these sessions."""
    (chosen,) = (each for each in checks_of(dataset) if each.name == check)
    return chosen.judge(Scope(database, dataset, days, CALENDAR))


def bars(codes: Sequence[str], days: Sequence[dt.date]) -> pl.DataFrame:
    """Daily bars that rise by 0.1 元 a session, each with a volume of its own; no ex-dates."""
    code = pl.DataFrame({"ts_code": codes}, schema={"ts_code": pl.String}).with_row_index("place")
    day = pl.DataFrame({"trade_date": days}, schema={"trade_date": pl.Date}).with_row_index("at")
    close = (10 + pl.col("place") + 0.1 * pl.col("at")).round(2)
    return (
        code.join(day, how="cross")
        .with_columns(close=close, pre_close=(close - 0.1).round(2), vol=1000.0 + 100 * pl.col("at") + pl.col("place"))
        .with_columns(
            open=pl.col("pre_close"),
            high=(pl.col("close") + 0.05).round(2),
            low=(pl.col("pre_close") - 0.05).round(2),
            change=pl.lit(0.1),
            pct_chg=((pl.col("close") / pl.col("pre_close") - 1) * 100).round(4),
            amount=(pl.col("vol") * pl.col("close") / 10).round(3),
        )
    )


def market(database: Database, days: Sequence[dt.date], codes: Sequence[str] = CODES) -> pl.DataFrame:
    """A market of these codes, listed long ago, with bars and factors of 1; the bars."""
    listed = [{"ts_code": code, "list_status": "L", "list_date": LISTED} for code in codes]
    store(database, STOCK_LIST, listed)
    rows = bars(codes, days)
    store(database, DAILY_KLINE, rows)
    store(database, ADJ_FACTOR, rows.with_columns(adj_factor=pl.lit(1.0)))
    return rows
