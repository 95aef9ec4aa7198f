"""Writes a backtest into its five tables: whole, or not at all."""

from __future__ import annotations

import io
import uuid
from typing import Any

import polars as pl
import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.types.json import Jsonb

from quant_pipeline.backtest.run import Result
from quant_pipeline.market import clock
from quant_pipeline.warehouse.backtests import EQUITY, ORDERS, POSITIONS, TRADES
from quant_pipeline.warehouse.database import Database

_RUN = """
INSERT INTO backtests (id, name, parameters, settings, universe, start_date, end_date, total_return, annual_return, volatility,
                       sharpe, max_drawdown, excess, figures, notes, created_at)
VALUES (%(id)s, %(name)s, %(parameters)s, %(settings)s, %(universe)s, %(start)s, %(end)s, %(total_return)s, %(annual_return)s,
        %(volatility)s, %(sharpe)s, %(max_drawdown)s, %(excess)s, %(figures)s, %(notes)s, %(created_at)s)
"""


def new_series(name: str) -> str:
    """What the ids of one grid or walk-forward of that strategy begin with."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def store(database: Database, result: Result, series: str = "") -> str:
    """The id under which it stands, in one transaction: a reader sees all of it or nothing. `series`: what it belongs to."""
    number = f"{series}-{uuid.uuid4().hex[:6]}" if series else f"{result.name}-{uuid.uuid4().hex[:12]}"
    figures = result.figures.as_dict()
    values = figures | {
        "id": number,
        "name": result.name,
        "parameters": Jsonb(result.parameters),
        "settings": Jsonb(result.settings.model_dump(mode="json")),
        "universe": result.universe,
        "figures": Jsonb(_plain(figures)),
        "notes": Jsonb(list(result.notes)),
        "created_at": clock.now(),
    }
    with database.connect() as connection, connection.transaction():
        connection.execute(_RUN, values)
        frames = result.frames
        for table, frame in (
            (ORDERS, frames.orders),
            (TRADES, frames.trades),
            (EQUITY, frames.equity),
            (POSITIONS, frames.positions),
        ):
            _copy(connection, table, frame, number)
    return number


def _copy(connection: psycopg.Connection[Any], table: sa.Table, frame: pl.DataFrame, number: str) -> None:
    names = [column.name for column in table.columns]
    text = io.BytesIO()
    frame.with_columns(backtest=pl.lit(number)).select(names).write_csv(text, include_header=False, null_value="")
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table.name), columns)
    with connection.cursor().copy(statement) as copy:
        copy.write(text.getvalue())


def _plain(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in figures.items()}
