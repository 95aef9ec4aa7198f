"""Quotes that are kept: of each code what is new since its last kept quote, as rows of the table intraday_quotes.

What is kept already is asked of the table at each call. So a process that takes the poller's place goes on where the other
one was cut off, and a quote that is said twice stands there once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import psycopg

from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.datasets import INTRADAY_QUOTES
from quant_pipeline.quotes.quote import Levels, Quote
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.upsert import upsert_each

# Whoever changes the table for a while holds up no poll: the live quotes matter more than the kept ones.
_PATIENCE = "SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '5s'"
_KEY = ("ts_code", "trade_date", "quote_time")
_SAID = tuple(name for name in INTRADAY_QUOTES.column_names if name not in _KEY)
_SCHEMA = {column.name: column.type.polars for column in INTRADAY_QUOTES.stored_columns}
_LAST = f"""
SELECT last.* FROM unnest(%(codes)s::text[], %(days)s::date[]) AS asked(code, day)
CROSS JOIN LATERAL (
    SELECT {", ".join((*_KEY, *_SAID))} FROM intraday_quotes
    WHERE trade_date = day AND ts_code = code ORDER BY quote_time DESC LIMIT 1
) AS last
"""


def keep(database: Database, quotes: Iterable[Quote]) -> int:
    """Keeps those that say something new, and gives their number. psycopg.Error, DatabaseError where they cannot be kept."""
    rows = {(row["ts_code"], row["trade_date"]): row for row in map(_row, quotes)}
    if not rows:
        return 0
    with database.pool.connection() as connection:
        connection.execute(_PATIENCE)
        last = _last(connection, rows)
        new = [row for key, row in rows.items() if _is_new(row, last.get(key))]
        by_source = pl.DataFrame(new, schema=_SCHEMA).partition_by("source", as_dict=True)
        upsert_each(connection, INTRADAY_QUOTES, [(frame, str(source)) for (source,), frame in by_source.items()])
    return len(new)


def _last(connection: psycopg.Connection[Any], keys: Iterable[tuple[Any, Any]]) -> Mapping[tuple[Any, Any], dict[str, Any]]:
    """The last kept quote of each code and session that has one."""
    codes, days = zip(*keys, strict=True)
    found = connection.execute(_LAST, {"codes": list(codes), "days": list(days)})
    rows = (dict(zip((*_KEY, *_SAID), row, strict=True)) for row in found)
    return {(row["ts_code"], row["trade_date"]): row for row in rows}


def _is_new(row: Mapping[str, Any], last: Mapping[str, Any] | None) -> bool:
    """Whether it says something else than the last one did, and is no older (a second source may lag)."""
    if last is None:
        return True
    return row["quote_time"] >= last["quote_time"] and any(row[name] != last[name] for name in _SAID)


def _row(quote: Quote) -> dict[str, Any]:
    at = (quote.exchange_time or quote.received_at).astimezone(EXCHANGE_ZONE)
    said = {name: getattr(quote, name) for name in (*_SAID, "ts_code", "source")}
    own = {"trade_date": at.date(), "quote_time": f"{at:%H:%M:%S}", "bids": _levels(quote.bids), "asks": _levels(quote.asks)}
    return said | own


def _levels(levels: Levels) -> str | None:
    return json.dumps([list(level) for level in levels]) if levels else None
