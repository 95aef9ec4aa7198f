"""Backtests as they are stored: the runs, and what became of one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from psycopg.rows import class_row

from quant_pipeline.backtest.annual import annualised_from, readable
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_COLUMNS = "id, name, parameters, settings, universe, start_date, end_date, figures, notes, created_at"
_CHOSEN = """
WHERE (%(name)s = '' OR name = %(name)s) AND (%(series)s = '' OR starts_with(id, %(series)s || '-'))
"""
_RUNS = f"SELECT {_COLUMNS} FROM backtests {_CHOSEN} ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s"
_COUNT = f"SELECT count(*) FROM backtests {_CHOSEN}"
_SOME = f"SELECT {_COLUMNS} FROM backtests WHERE id = ANY(%(ids)s) ORDER BY array_position(%(ids)s, id)"
_REASONS = """
SELECT side, status, reason, count(*) AS orders, sum(wanted - filled)::bigint AS shares FROM backtest_orders
WHERE backtest = %(id)s AND status <> 'filled' GROUP BY side, status, reason ORDER BY orders DESC, side, status, reason
"""
_EQUITY = "SELECT trade_date, equity, drawdown, benchmark, positions FROM backtest_equity WHERE backtest = %(id)s ORDER BY 1"
_TRADES = """
SELECT trade_no, trade_date, ts_code, kind, shares, price, value,
       commission + stamp_duty + transfer_fee + handling_fee + regulatory_fee + dividend_tax AS costs, profit, sessions_held
FROM backtest_trades WHERE backtest = %(id)s ORDER BY trade_no
"""


@dataclass(frozen=True)
class Run:
    """A row of `backtests`. `figures`: as `figures.Figures` names them, days as text."""

    id: str
    name: str
    parameters: Mapping[str, Any]
    settings: Mapping[str, Any]
    universe: str
    start_date: dt.date
    end_date: dt.date
    figures: Mapping[str, Any]
    notes: Sequence[str]
    created_at: dt.datetime

    @property
    def shown(self) -> Mapping[str, Any]:
        """The figures as people are shown them."""
        return readable(self.figures, self.settings)

    @property
    def annualised_from(self) -> int:
        """Sessions from which on a range is taken to a year."""
        return annualised_from(self.settings)


def runs(database: Database, *, name: str = "", series: str = "", limit: int, offset: int = 0) -> list[Run]:
    """The newest first. `name`: of one strategy · `series`: of one grid or walk-forward; empty: of any."""
    with database.connect() as connection, connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(_RUNS, {"name": name, "series": series, "limit": limit, "offset": offset}).fetchall()


def count(database: Database, *, name: str = "", series: str = "") -> int:
    """How many `runs` there are."""
    with database.connect() as connection:
        row = connection.execute(_COUNT, {"name": name, "series": series}).fetchone()
    return int(row[0]) if row else 0


def names(database: Database) -> list[str]:
    """What was ever backtested."""
    with database.connect() as connection:
        return [str(row[0]) for row in connection.execute("SELECT DISTINCT name FROM backtests ORDER BY name")]


def some(database: Database, ids: Sequence[str]) -> list[Run]:
    """Those that are stored, in the order of the ids."""
    with database.connect() as connection, connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(_SOME, {"ids": list(ids)}).fetchall()


def unfilled(database: Database, number: str) -> list[dict[str, Any]]:
    """The orders that were not filled whole, by side, status and reason: orders, shares; the most first."""
    return read_sql(database, _REASONS, {"id": number}).to_dicts()


def equity(database: Database, number: str) -> pl.DataFrame:
    """trade_date, equity [元], drawdown (0 or less), benchmark (the index's close), positions; a row per session."""
    return read_sql(database, _EQUITY, {"id": number})


def trades(database: Database, number: str) -> pl.DataFrame:
    """trade_no, trade_date, ts_code, kind, shares, price, value, costs, profit, sessions_held; as they happened."""
    return read_sql(database, _TRADES, {"id": number})
