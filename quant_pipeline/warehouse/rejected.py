"""Rows that validation refused, kept whole in `rejected_rows` for a person to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl
import psycopg

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.validation import REASON

_STORE = """
INSERT INTO rejected_rows (dataset, fingerprint, source, unit, reason, row)
VALUES (%s, %s, %s, %s, %s, %s::jsonb) ON CONFLICT DO NOTHING
"""


def store_rejected(connection: psycopg.Connection[Any], dataset: Dataset, bad: pl.DataFrame, *, source: str, unit: str) -> int:
    """Stores the bad rows of a unit's answer (`Checked.bad`) in the caller's transaction; how many were new."""
    if bad.is_empty():
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(_STORE, _records(dataset, bad, source, unit))
        return cursor.rowcount


def _records(dataset: Dataset, bad: pl.DataFrame, source: str, unit: str) -> Iterator[tuple[str, ...]]:
    # JSON has neither infinity nor (in PostgreSQL) the zero byte: they are kept as text that a person can see.
    infinite = [column.name for column in bad.select(pl.selectors.float()) if column.is_infinite().any()]
    readable = bad.with_columns(
        pl.col(infinite).cast(pl.String), pl.selectors.string().str.replace_all("\0", "␀", literal=True)
    )
    for row in readable.iter_rows(named=True):
        reason = row.pop(REASON)
        content = orjson.dumps(row, default=str, option=orjson.OPT_SORT_KEYS)
        fingerprint = hashlib.md5(source.encode() + b"\0" + content, usedforsecurity=False).hexdigest()
        yield dataset.name, fingerprint, source, unit, reason, content.decode()
