"""The last syncs, and what became of each unit of one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from quant_pipeline.language import marked, say
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import Connection
from quant_pipeline.warehouse.presence import ALIVE
from quant_pipeline.warehouse.rows import Row, rows_of

Rows = TypeVar("Rows")

PLANNED_TAG = "quant/planned_units"
"""Tag of a Dagster run of a command: how many units all runs of that call were to fetch; it is kept among its parameters."""
STATUSES = {
    "success": marked("success"),
    "success_with_errors": marked("success with errors"),
    "partial": marked("partial"),
    "failed": marked("failed"),
    "died": marked("died"),
    "interrupted": marked("interrupted"),
    "running": marked("running"),
    "idle": marked("idle"),
}
"""The statuses of runs and units in words."""
PER_PAGE = 20
PER_PAGE_OF_ITEMS = 100
# A run that is not closed has its counts in its items only; `died` is what the next sync will find out about it.
_RUNS = f"""
SELECT id AS run, coalesce(command_id, id) AS command, trigger,
       CASE WHEN status = 'running' AND NOT {ALIVE} THEN 'died'
            WHEN status = 'failed' AND starts_with(error, 'interrupted') THEN 'interrupted' ELSE status END AS status,
       started_at, finished_at,
       extract(epoch FROM coalesce(finished_at, so_far.last_at, started_at) - started_at)::float8 AS seconds,
       units_planned, units_skipped, units_planned - units_skipped AS units_asked,
       least(coalesce(so_far.done, units_done), units_planned - units_skipped) AS units_done_of_asked,
       (parameters #>> '{{tags,{PLANNED_TAG}}}')::bigint AS units_of_command,
       coalesce(so_far.done, units_done) AS units_done, coalesce(so_far.failed, units_failed) AS units_failed,
       coalesce(so_far.inserted, rows_inserted) AS rows_inserted, coalesce(so_far.updated, rows_updated) AS rows_updated,
       coalesce(so_far.unchanged, rows_unchanged) AS rows_unchanged,
       coalesce(so_far.rejected, rows_rejected) AS rows_rejected, coalesce(so_far.calls, sync_runs.calls) AS calls,
       by_source::text AS by_source, process, error
FROM sync_runs LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE item.status <> 'failed') AS done, count(*) FILTER (WHERE item.status = 'failed') AS failed,
           sum(inserted)::bigint AS inserted, sum(updated)::bigint AS updated, sum(unchanged)::bigint AS unchanged,
           sum(rejected)::bigint AS rejected, sum(item.calls)::bigint AS calls, max(item.finished_at) AS last_at
    FROM sync_items AS item WHERE sync_run = sync_runs.id
) AS so_far ON sync_runs.status = 'running'
"""
_PAGE = f"{_RUNS} ORDER BY started_at DESC, id LIMIT %(count)s OFFSET %(before)s"
_OF_COMMANDS = f"{_RUNS} WHERE coalesce(command_id, id) = ANY(%(commands)s) ORDER BY started_at DESC, id"
_OF_RUNS = f"{_RUNS} WHERE id = ANY(%(runs)s) ORDER BY started_at DESC, id"
_COMMANDS = """
SELECT coalesce(command_id, id) AS command FROM sync_runs GROUP BY 1
ORDER BY max(started_at) DESC, 1 LIMIT %(count)s OFFSET %(before)s
"""
_ITEMS = """
SELECT dataset, unit, status, source, rows, inserted, updated, unchanged, rejected, missing, attempts, calls, seconds,
       error_class, error, finished_at
FROM sync_items WHERE sync_run = ANY(%(runs)s)
ORDER BY status <> 'failed', finished_at, dataset, unit LIMIT %(count)s OFFSET %(before)s
"""
_FOUND = """
SELECT name, runs FROM (
    SELECT command_id AS name, array_agg(id ORDER BY started_at) AS runs, max(started_at) AS at FROM sync_runs
    WHERE starts_with(command_id, %(begins)s) GROUP BY 1
    UNION ALL SELECT id, ARRAY[id], started_at FROM sync_runs WHERE starts_with(id, %(begins)s)
) AS named ORDER BY at DESC LIMIT 6
"""
_BRINGER = """
SELECT sync_run FROM sync_items
WHERE dataset = %(dataset)s AND status <> 'failed' AND (unit = %(session)s OR ts_code = %(code)s)
ORDER BY finished_at DESC LIMIT 1
"""
_KNOWN = """
SELECT left(coalesce(command_id, id), 8) AS id FROM sync_runs GROUP BY coalesce(command_id, id)
ORDER BY max(started_at) DESC LIMIT 5
"""


@dataclass(frozen=True)
class Page(Generic[Rows]):
    """A page of `rows`, of `total` in all; pages count from 1."""

    rows: Rows
    page: int
    per_page: int
    total: int

    @property
    def pages(self) -> int:
        return max(-(-self.total // self.per_page), 1)


@dataclass(frozen=True)
class Found:
    """What an id names: one run, or the `runs` of one call of a command."""

    id: str
    runs: list[str]


def runs(database: Database, *, page: int = 1, per_page: int = PER_PAGE) -> Page[list[Row]]:
    """The syncs, the latest first: run, command (the id that the runs of one call of a command have in common; else its own),
    trigger, status (of the ledger, or `died`, `interrupted`), started_at, finished_at, seconds,
    units_planned, units_skipped, units_asked (those that were not done before: what the command itself speaks of),
    units_done_of_asked, units_of_command (what all runs of the call were to fetch, null where nobody counted it), units_done,
    units_failed, rows_inserted, rows_updated, rows_unchanged, rows_rejected,
    calls, by_source (JSON text), process, error. A running one has the counts of what it committed so far."""
    with database.connect() as connection:
        total = _count(connection, "SELECT count(*) FROM sync_runs")
        return Page(rows_of(connection, _PAGE, _window(page, per_page)), page, per_page, total)


def by_command(database: Database, *, page: int = 1, per_page: int = PER_PAGE) -> Page[list[Row]]:
    """The same rows, of whole calls of commands: a page has the runs of `per_page` of them, and counts them."""
    with database.connect() as connection:
        total = _count(connection, "SELECT count(DISTINCT coalesce(command_id, id)) FROM sync_runs")
        commands = [row["command"] for row in rows_of(connection, _COMMANDS, _window(page, per_page))]
        return Page(rows_of(connection, _OF_COMMANDS, {"commands": commands}), page, per_page, total)


def runs_of(database: Database, found: Found) -> Page[list[Row]]:
    """The rows, as `runs` has them, of what an id names: all on one page."""
    with database.connect() as connection:
        rows = rows_of(connection, _OF_RUNS, {"runs": found.runs})
    return Page(rows, 1, len(rows), len(rows))


def items(database: Database, runs: Sequence[str], *, page: int = 1, per_page: int = PER_PAGE_OF_ITEMS) -> Page[list[Row]]:
    """The units of these runs, failed ones first, then in order of commit: dataset, unit, status, source, rows, inserted,
    updated, unchanged, rejected, missing, attempts, calls, seconds, error_class, error, finished_at.

    `runs` are whole ids, as `run_of` gives them.
    """
    of_runs = {"runs": list(runs)}
    with database.connect() as connection:
        total = _count(connection, "SELECT count(*) FROM sync_items WHERE sync_run = ANY(%(runs)s)", of_runs)
        return Page(rows_of(connection, _ITEMS, of_runs | _window(page, per_page)), page, per_page, total)


def run_of(database: Database, begins: str) -> Found:
    """The one run, or call of a command, whose id begins so; ValueError names those that there are."""
    with database.connect() as connection:
        found = [Found(row["name"], row["runs"]) for row in rows_of(connection, _FOUND, {"begins": begins})]
        known = ", ".join(row["id"] for row in rows_of(connection, _KNOWN)) if not found else ""
    if exact := [each for each in found if each.id == begins]:
        return exact[0]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.id for each in found[:5]) + (", …" if len(found) > 5 else "")
        raise ValueError(say("several runs begin with {begins!r}: {ids}", begins=begins, ids=ids))
    if not known:
        raise ValueError(say("no run begins with {begins!r}: nothing was synced yet", begins=begins))
    raise ValueError(say("no run begins with {begins!r}. The latest runs: {known}", begins=begins, known=known))


def bringer_of(database: Database, dataset: str, code: str, session: dt.date) -> str | None:
    """The last run that fetched the session's rows of the data set, or the code's own; None where no run is on record."""
    asked = {"dataset": dataset, "code": code, "session": session.isoformat()}
    with database.connect() as connection:
        found = rows_of(connection, _BRINGER, asked)
    return found[0]["sync_run"] if found else None


def _window(page: int, per_page: int) -> dict[str, int]:
    return {"count": per_page, "before": (page - 1) * per_page}


def _count(connection: Connection, query: str, parameters: Mapping[str, Any] | None = None) -> int:
    ((total,),) = connection.execute(query.encode(), parameters).fetchall()
    return int(total)
