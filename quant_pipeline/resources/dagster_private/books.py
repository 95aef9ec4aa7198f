"""What Dagster's tables say, read without Dagster: a command that finds nothing to do does not load it for that."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

import psycopg

STORAGE: Final = "quant_pipeline.resources.dagster_private.storage"
"""The storage that keeps these tables, as dagster.yaml names it. Changed: `run` loads Dagster to find that nothing is to do
(test_cli.py)."""
_THERE: Final = "SELECT to_regclass('dagster.runs') IS NOT NULL AND to_regclass('dagster.event_logs') IS NOT NULL"
"""Changed names of the tables: as `STORAGE`."""
_GOING_ON: Final = "SELECT EXISTS (SELECT FROM dagster.runs WHERE status IN ('STARTED', 'CANCELING'))"
"""Runs that have begun and not ended, as `dead_runs` looks for them. Changed words: a run whose process died is not ended by
the next `run` if that has nothing to do (test_books.py)."""
_MADE: Final = """
SELECT DISTINCT asset_key FROM dagster.event_logs
WHERE asset_key = ANY(%s) AND dagster_event_type = 'ASSET_MATERIALIZATION' AND partition = %s
"""
"""As `get_materialized_partitions` has it. Changed: as `STORAGE`."""


def all_made(connection: psycopg.Connection[Any], assets: Collection[str], partition: str) -> bool:
    """Whether no run goes on (or has died), and each of the assets is materialized for the partition.

    False also where that cannot be told: then Dagster is asked.
    """
    keys = [json.dumps([asset]) for asset in assets]
    if not none_going_on(connection):
        return False
    return len(connection.execute(_MADE, (keys, partition)).fetchall()) == len(keys)


def none_going_on(connection: psycopg.Connection[Any]) -> bool:
    """Whether no run goes on (or has died). False also where that cannot be told."""
    return _one(connection, _THERE) and not _one(connection, _GOING_ON)


def _one(connection: psycopg.Connection[Any], query: str) -> bool:
    found = connection.execute(query).fetchone()
    return found is not None and bool(found[0])
