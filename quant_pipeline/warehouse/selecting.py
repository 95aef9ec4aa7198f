"""Some rows of a data set, chosen and ordered by the server: what a program at the door asks for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from psycopg import sql

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import Days, read_sql


@dataclass(frozen=True)
class Selection:
    """Which rows of a data set, and which columns of them.

    `columns`: name in the answer -> column of the table (`source` and `updated_at` too) · `among`: column -> the values that
    are wanted · `between`: column of days -> from the first to the last (both included; None: no bound) · `order`: column ->
    whether the greatest comes first, in the order in which they count · `distinct`: rows that are equal are one.
    """

    dataset: Dataset
    columns: Mapping[str, str]
    among: Mapping[str, Sequence[str | int | dt.date]] = field(default_factory=dict)
    between: Mapping[str, Days] = field(default_factory=dict)
    order: Mapping[str, bool] = field(default_factory=dict)
    distinct: bool = False
    limit: int | None = None
    offset: int = 0


def select(database: Database, selection: Selection, *, timeout: float | None = None) -> pl.DataFrame:
    """The rows, in their order. `timeout` as in `reads.read`."""
    return read_sql(database, statement_of(selection), timeout=timeout)


def statement_of(selection: Selection) -> str:
    """The SELECT."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name)) for name, column in selection.columns.items()
    )
    parts = [
        sql.SQL("SELECT DISTINCT {} FROM {}" if selection.distinct else "SELECT {} FROM {}").format(
            columns, sql.Identifier(selection.dataset.name)
        )
    ]
    conditions = [
        sql.SQL("{} = ANY({})").format(sql.Identifier(column), list(values)) for column, values in selection.among.items()
    ]
    for column, (first, last) in selection.between.items():
        for bound, comparison in ((first, "{} >= {}"), (last, "{} <= {}")):
            if bound is not None:
                conditions.append(sql.SQL(comparison).format(sql.Identifier(column), bound))
    if conditions:
        parts.append(sql.SQL("WHERE ") + sql.SQL(" AND ").join(conditions))
    if selection.order:
        directions = {True: sql.SQL("{} DESC NULLS LAST"), False: sql.SQL("{}")}
        ordered = (directions[greatest].format(sql.Identifier(name)) for name, greatest in selection.order.items())
        parts.append(sql.SQL("ORDER BY ") + sql.SQL(", ").join(ordered))
    if selection.limit is not None:
        parts.append(sql.SQL("LIMIT {}").format(selection.limit))
    if selection.offset:
        parts.append(sql.SQL("OFFSET {}").format(selection.offset))
    return sql.SQL(" ").join(parts).as_string()
