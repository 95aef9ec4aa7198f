"""A handful of rows as Python has them, for what is shown to a person: neither Arrow nor polars is loaded for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from psycopg.rows import dict_row

from quant_pipeline.market import clock
from quant_pipeline.warehouse.errors import Connection

Row = dict[str, Any]


def rows_of(connection: Connection, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    """Any SELECT's rows, moments in exchange time. Parameters stand in it as %(name)s; a % is then written %%."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query.encode(), parameters).fetchall()
    return [{name: _local(value) for name, value in row.items()} for row in found]


def _local(value: Any) -> Any:
    return value.astimezone(clock.EXCHANGE_ZONE) if isinstance(value, dt.datetime) else value
