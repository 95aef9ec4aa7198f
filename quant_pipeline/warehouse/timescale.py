"""TimescaleDB, where the server has it: the tables by session become hypertables, and their old years columns, compressed.

A server without the extension (the embedded one too) is left as it is. Everything here may be repeated. It is done when the
tables are upgraded: to move an existing database onto it, install the extension and run `quant-pipeline db upgrade`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import psycopg

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import DATASETS

_VERSION = "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
_SINCE = (2, 18)
"""The first version with these names (columnstore; before it there was `compress`)."""
# A year of the market is 1.3 million bars a table: few chunks to plan over, and each in memory while it is written.
_CHUNK = "INTERVAL '1 year'"
_OLD = "INTERVAL '2 years'"
"""Years that nobody corrects any more, nearly: a correction of a compressed row works, and costs more."""
_logger = logging.getLogger(__name__)


def apply(connection: psycopg.Connection[Any]) -> bool:
    """Makes hypertables in the caller's transaction, where the server can; whether it did.

    A server that has the extension and will not give it (no right, not in shared_preload_libraries) keeps plain tables: that
    is logged, with its reason.
    """
    row = connection.execute(_VERSION).fetchone()
    issued = statements(str(row[0]) if row else None)
    try:
        with connection.transaction():
            for statement in issued:
                connection.execute(statement)
    except psycopg.Error as error:
        _logger.warning("the server has TimescaleDB and it cannot be used, plain tables do: %s", error.diag.message_primary)
        return False
    return bool(issued)


def statements(version: str | None, datasets: Iterable[Dataset] = tuple(DATASETS.values())) -> list[str]:
    """What a server is told that has this version of the extension; nothing where it has none, or too old a one."""
    if version is None or _numbers(version) < _SINCE:
        return []
    issued = ["CREATE EXTENSION IF NOT EXISTS timescaledb"]
    for dataset in datasets:
        if dataset.dated:
            issued += _statements_of(dataset)
    return issued


def _statements_of(dataset: Dataset) -> list[str]:
    times = ["trade_date", *([dataset.moment] if dataset.moment else [])]
    segments = ", ".join(name for name in dataset.key if name not in times)
    return [
        f"SELECT create_hypertable('{dataset.name}', by_range('trade_date', {_CHUNK}), "
        "create_default_indexes => false, if_not_exists => true, migrate_data => true)",
        f"ALTER TABLE {dataset.name} SET (timescaledb.enable_columnstore = true, "
        f"timescaledb.segmentby = '{segments}', timescaledb.orderby = '{', '.join(times)}')",
        f"CALL add_columnstore_policy('{dataset.name}', after => {_OLD}, if_not_exists => true)",
    ]


def _numbers(version: str) -> tuple[int, ...]:
    """2.18.1-dev: (2, 18)."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
