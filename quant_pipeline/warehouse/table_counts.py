"""What the tables hold, counted: rows, dates and codes by source. A table that stands as it was counted is not counted again.

Every change of a table leaves a mark in its transaction, whoever made it (table_changes.py). So the figures are kept beside
the sum of the marks, and are shown for as long as that is the same: they are those that counting would give. A table of moments
changes every few seconds while the exchange trades, and has rows by the million: its figures are up to an hour old then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from psycopg import sql

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import DatabaseError
from quant_pipeline.warehouse.rows import rows_of

_DATES = ("trade_date", "cal_date")
# Codes are counted as groups: both levels are hashed in parallel, where count(DISTINCT) would sort every row.
_BY_CODE = """
SELECT source, sum(rows)::bigint AS rows, min(first)::text AS first, max(latest)::text AS latest, count(code) AS codes
FROM (
    SELECT source, {code} AS code, count(*) AS rows, min({date}) AS first, max({date}) AS latest FROM {table} GROUP BY 1, 2
) AS by_code
GROUP BY source ORDER BY rows DESC, source
"""
_KEPT = """
SELECT now.dataset, now.state, counts::text AS counts FROM (
    SELECT dataset, sum(mark)::text AS state FROM table_changes WHERE dataset = ANY(%(names)s) GROUP BY dataset
) AS now LEFT JOIN table_counts AS kept ON kept.dataset = now.dataset AND (
    kept.state = now.state OR kept.dataset = ANY(%(moving)s) AND kept.counted_at > clock_timestamp() - interval '1 hour'
)
"""
_KEEP = """
INSERT INTO table_counts (dataset, state, counts) VALUES (%s, %s, %s)
ON CONFLICT (dataset) DO UPDATE SET state = excluded.state, counts = excluded.counts, counted_at = excluded.counted_at
"""


def counts_of(database: Database, datasets: Sequence[Dataset]) -> dict[str, list[dict[str, Any]]]:
    """Data set -> a row per source, the largest first: source, rows, first, latest (ISO text; None: a list), codes.

    No row of an empty table.
    """
    states, counts = _known(database, datasets)
    counted = {dataset.name: _counted(database, dataset) for dataset in datasets if dataset.name not in counts}
    # By the states from before the count: what changed since is in the figures, perhaps, and they do not count for it.
    _keep(database, {name: (states[name], rows) for name, rows in counted.items() if name in states})
    return counts | counted


def _known(database: Database, datasets: Sequence[Dataset]) -> tuple[dict[str, str], dict[str, list[dict[str, Any]]]]:
    """The tables' states as they are now, and the counts of those that stand as they were counted."""
    moving = [dataset.name for dataset in datasets if dataset.moment]
    with database.connect() as connection:
        rows = connection.execute(_KEPT, {"names": [dataset.name for dataset in datasets], "moving": moving}).fetchall()
    return (
        {name: state for name, state, _ in rows},
        {name: json.loads(counts) for name, _, counts in rows if counts is not None},
    )


def _counted(database: Database, dataset: Dataset) -> list[dict[str, Any]]:
    names = dataset.column_names
    date = next((sql.Identifier(name) for name in _DATES if name in names), sql.SQL("NULL::date"))
    code = sql.Identifier("ts_code") if "ts_code" in names else sql.SQL("NULL::text")
    query = sql.SQL(_BY_CODE).format(code=code, date=date, table=sql.Identifier(dataset.name))
    with database.connect() as connection:
        return rows_of(connection, query.as_string())


def _keep(database: Database, counted: Mapping[str, tuple[str, list[dict[str, Any]]]]) -> None:
    """Where the database may only be read, they are counted again next time."""
    if not counted:
        return
    with suppress(DatabaseError), database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(_KEEP, [(name, state, json.dumps(rows)) for name, (state, rows) in counted.items()])
