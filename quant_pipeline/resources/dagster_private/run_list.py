"""A job's runs out of Dagster's tables, read without Dagster: page by page, which its own storage cannot do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from quant_pipeline.resources.dagster_private.names import COMMAND_TAG
from quant_pipeline.sync.ledger import COMMAND_ID_TAG

_THERE: Final = "SELECT to_regclass('dagster.runs') IS NOT NULL AND to_regclass('dagster.run_tags') IS NOT NULL"
_PAGE: Final = """
SELECT run_id, lower(status) AS status, to_timestamp(start_time) AS started_at, to_timestamp(end_time) AS finished_at,
       tag.partition, tag.first, tag.last, tag.command_id, tag.command
FROM (
    SELECT * FROM dagster.runs WHERE pipeline_name = %(job)s ORDER BY id DESC LIMIT %(count)s OFFSET %(before)s
) AS run CROSS JOIN LATERAL (
    SELECT max(value) FILTER (WHERE key = 'dagster/partition') AS partition,
           max(value) FILTER (WHERE key = 'dagster/asset_partition_range_start') AS first,
           max(value) FILTER (WHERE key = 'dagster/asset_partition_range_end') AS last,
           max(value) FILTER (WHERE key = %(command_id)s) AS command_id,
           max(value) FILTER (WHERE key = %(command)s) AS command
    FROM dagster.run_tags WHERE run_tags.run_id = run.run_id
) AS tag
ORDER BY run.id DESC
"""
"""Changed names: the history of a task by REST fails, and nothing else (door/rest/test_tasks.py)."""
_COUNT: Final = "SELECT count(*) FROM dagster.runs WHERE pipeline_name = %s"
"""Changed: as the page."""
_ASKED: Final = "SELECT EXISTS (SELECT FROM dagster.run_tags WHERE key = %s AND value = %s)"
"""Changed: as the page; a task that was triggered is told a moment later."""


@dataclass(frozen=True)
class JobRun:
    """A run. `status` is Dagster's, in small letters; `first`, `last`: the partitions, where it has several.

    Changed names of statuses: the history of a task by REST shows the new ones.
    """

    run_id: str
    status: str
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    partition: str | None
    first: str | None
    last: str | None
    command_id: str | None
    command: str | None


def runs_of(connection: psycopg.Connection[Any], job: str, *, page: int, per_page: int) -> tuple[list[JobRun], int]:
    """A page of the job's runs, the latest first (pages count from 1), and how many there are in all."""
    if not _one(connection, _THERE):
        return [], 0
    asked = {
        "job": job, "count": per_page, "before": (page - 1) * per_page, "command_id": COMMAND_ID_TAG, "command": COMMAND_TAG,
    }  # fmt: skip
    with connection.cursor(row_factory=class_row(JobRun)) as cursor:
        found = cursor.execute(_PAGE, asked).fetchall()
    return found, int(_one(connection, _COUNT, job))


def has_run(connection: psycopg.Connection[Any], command_id: str) -> bool:
    """Whether that call of a command has asked for a run."""
    return bool(_one(connection, _THERE)) and bool(_one(connection, _ASKED, COMMAND_ID_TAG, command_id))


def _one(connection: psycopg.Connection[Any], query: str, *values: str) -> Any:
    row = connection.execute(query, values).fetchone()
    return row[0] if row is not None else None
