"""Reads: PostgreSQL's binary COPY through ADBC to Arrow, then polars or pandas. No Python object per cell."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import sql

from quant_pipeline.language import say
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.codes import CodeError, parse
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.stretches import BY_CODE
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import DatabaseError, refusals_in_words

if TYPE_CHECKING:
    import pandas as pd

Days = tuple[dt.date | None, dt.date | None]
"""From the first to the last, both included; None: without a bound."""
_CANCELLED, _TIMED_OUT = "57014", "canceling statement due to statement timeout"
"""A statement that is given up before its first row has a code, later only words."""
_READ_ONLY = "25006"


def read(
    database: Database,
    dataset: Dataset,
    *,
    start: dt.date | None = None,
    end: dt.date | None = None,
    codes: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    timeout: float | None = None,
) -> pl.DataFrame:
    """Rows of a data set, sorted by its key, with the spec's types and units.

    `start`, `end`: sessions, both included (only for data sets by session) · `codes`: only these, in any usual spelling
    (600000, sh600000, 600000.SH; an index bears its market: CodeError) · `columns`: default all of the spec's; `source` and
    `updated_at` can be asked for. KeyError for an unknown column. `timeout`: seconds after which the server gives the
    statement up (TimeoutError); None: as the server has it.
    """
    names = named(dataset, columns)
    wanted = names + [name for name in dataset.key if name not in names]
    chosen = None if codes is None else [spelled(dataset, code) for code in codes]
    # Sorted here: polars takes a tenth of the server's time.
    return _fetch(database, statement_of(dataset, wanted, (start, end), chosen), timeout).sort(dataset.key).select(names)


def named(dataset: Dataset, columns: Sequence[str] | None) -> list[str]:
    """The columns that are asked for, by default all of the spec's. KeyError for an unknown one."""
    names = list(dataset.column_names if columns is None else columns)
    for name in names:
        if name not in ("source", "updated_at"):
            dataset.column(name)
    return names


def statement_of(dataset: Dataset, columns: Sequence[str], days: Days, codes: Sequence[str] | None) -> str:
    """The SELECT of these columns, of the days from the first to the last (both included; None: no bound) and the codes."""
    return (
        sql.SQL("SELECT {} FROM {}{}").format(_listed(columns), sql.Identifier(dataset.name), _where(days, codes)).as_string()
    )


_STEPS = """
WITH held AS (
    SELECT {key}, {values}, min(trade_date) AS trade_date, max(trade_date) AS last FROM {table}{where} GROUP BY {key}, {values}
), again AS (
    SELECT ts_code FROM (
        SELECT ts_code, last >= lead(trade_date) OVER (PARTITION BY ts_code ORDER BY trade_date) AS among FROM held
    ) AS followed WHERE among
)
SELECT {columns} FROM held WHERE ts_code <> ALL (ARRAY(SELECT ts_code FROM again))
UNION ALL
SELECT {columns} FROM {table}{and} ts_code = ANY (ARRAY(SELECT ts_code FROM again))
"""
"""Values that a code has had again after another one are not told apart by the grouping: of such a code all rows are sent."""


def steps_statement(dataset: Dataset, columns: Sequence[str], days: Days, codes: Sequence[str] | None) -> str:
    """As `statement_of`, of ts_code, trade_date and what seldom changes: rows that say what the code's row before said are left
    out by the server, but for few."""
    where = _where(days, codes)
    parts = {
        "key": sql.Identifier("ts_code"),
        "values": _listed([name for name in columns if name not in BY_CODE]),
        "columns": _listed(columns),
        "table": sql.Identifier(dataset.name),
        "where": where,
        "and": where + sql.SQL(" AND") if where.as_string() else sql.SQL(" WHERE"),
    }
    return sql.SQL(_STEPS).format(**parts).as_string()


def _listed(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _where(days: Days, codes: Sequence[str] | None) -> sql.Composed:
    """Of the statement, with a blank before it; empty where all rows are wanted."""
    start, end = days
    conditions = []
    if start is not None:
        conditions.append(sql.SQL("trade_date >= {}").format(start))
    if end is not None:
        conditions.append(sql.SQL("trade_date <= {}").format(end))
    if codes is not None:
        conditions.append(sql.SQL("ts_code = ANY({})").format(list(codes)))
    return sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions) if conditions else sql.Composed([])


def read_window(
    database: Database,
    dataset: Dataset,
    calendar: Calendar,
    end: dt.date,
    sessions: int,
    *,
    codes: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The rows of the `sessions` sessions that end with the session `end`: a screen's lookback. As `read` otherwise."""
    return read(database, dataset, start=calendar.window(end, sessions)[0], end=end, codes=codes, columns=columns)


def read_sql(
    database: Database,
    query: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    read_only: bool = False,
) -> pl.DataFrame:
    """Any SELECT. Parameters stand in it as %(name)s (dates, texts, numbers, lists); a % is then written %%.

    `timeout` as in `read`. `read_only`: the server refuses whatever would change a row (DatabaseError), for queries that
    somebody else wrote.
    """
    return _fetch(database, bound(query, parameters), timeout, read_only=read_only)


def bound(query: str, parameters: Mapping[str, Any] | None) -> str:
    """The query with its parameters in their places; without any, as it stands."""
    if parameters is None:
        return query
    known = parameters

    def literal(match: re.Match[str]) -> str:
        return "%" if match[1] is None else sql.Literal(known[match[1]]).as_string()

    return re.sub(r"%(?:\((\w+)\)s|%)", literal, query)


def to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """The frame as pandas has it: dates as datetime64, so that they can be an index and be resampled."""
    return frame.with_columns(pl.selectors.date().cast(pl.Datetime("us"))).to_pandas()


def spelled(dataset: Dataset, code: str) -> str:
    """As the table has it. What bears a market already is taken as it stands: an index, a board of THS."""
    if code[6:7] == ".":
        return code.upper()
    if "index_list" in dataset.universe:
        raise CodeError(say("{code}: an index is written with its market, 000001.SH or 399001.SZ", code=code))
    return parse(code)


def _fetch(database: Database, query: str, timeout: float | None, *, read_only: bool = False) -> pl.DataFrame:
    from quant_pipeline.warehouse import arrow

    # What somebody else wrote may leave a session in any state: its connection is not kept.
    with refusals_in_words(), database.connect_arrow(keep=not read_only) as connection:
        if timeout is None and not read_only:
            return connection.fetch(query)
        connection.execute("BEGIN READ ONLY" if read_only else "BEGIN")
        if timeout is not None:
            connection.execute(f"SET LOCAL statement_timeout = {max(1, round(timeout * 1000))}")
        try:
            rows = connection.fetch(query)
        except arrow.Error as error:
            cancelled = error.sqlstate == _CANCELLED or _TIMED_OUT in str(error)
            if timeout is not None and cancelled:  # what was asked for, not what the server's owner set
                raise TimeoutError(f"statement timeout: the read took longer than {timeout:g} s") from None
            if read_only and error.sqlstate == _READ_ONLY:
                raise DatabaseError(say("this query would change rows, and here they are only read: write a SELECT")) from None
            raise
        connection.execute("ROLLBACK")
        return rows
