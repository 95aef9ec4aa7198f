"""The ledger: what was asked for, what was done, what failed and why (`sync_runs`, `sync_items`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from quant_pipeline.language import marked
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import ALIVE, Presence


class ItemStatus(StrEnum):
    """What became of a unit."""

    SUCCESS = "success"
    PARTIAL = "partial"
    """Stored, and not all that it should be: its `error_class` is a Shortfall, its `error` says which rows."""
    FAILED = "failed"


class Shortfall(StrEnum):
    """Why a unit is only partial."""

    REFUSED = "refused"
    """Rows were refused, and no source replaced them: it is asked for again."""
    IMPLAUSIBLE = "implausible"
    """It contradicts what is known, and every source says the same: it is asked for again."""
    UNSERVED = "unserved"
    """Rows lack that no source in use has: asking again would not bring them."""


@dataclass(frozen=True)
class Item:
    """One unit's result. Those that are no success carry the failure's class and text."""

    unit: str
    trade_date: dt.date | None = None
    ts_code: str | None = None
    source: str | None = None
    status: ItemStatus = ItemStatus.SUCCESS
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    missing: int = 0
    """Rows due that no source had."""
    unreadable: str | None = None
    """How many values of which optional columns could not be read and became null: "pe 831, pb 2"."""
    attempts: int = 0
    calls: int = 0
    seconds: float = 0.0
    error_class: str | None = None
    error: str | None = None
    finished_at: dt.datetime | None = None

    @property
    def failed(self) -> bool:
        return self.status == ItemStatus.FAILED


_COLUMNS = (
    "unit, trade_date, ts_code, source, status, rows, inserted, updated, unchanged, rejected, missing, unreadable, attempts, "
    "calls, seconds, error_class, error"
)
_RECORD = f"""
INSERT INTO sync_items (sync_run, dataset, {_COLUMNS})
VALUES (%(sync_run)s, %(dataset)s, {", ".join(f"%({name.strip()})s" for name in _COLUMNS.split(","))})
ON CONFLICT (sync_run, dataset, unit) DO UPDATE SET
    {", ".join(f"{name.strip()} = excluded.{name.strip()}" for name in _COLUMNS.split(",")[1:])},
    finished_at = clock_timestamp()
"""
UNKNOWN_CODE = "unknown_code"
"""The error class of a code that no list names: asking for it again would be no use."""
DONE = "(status = 'success' OR status = 'partial' AND error_class = 'unserved')"
"""Which items of sync_items need not be asked for again."""
_DONE = f"""
SELECT DISTINCT ON (unit) {_COLUMNS}, finished_at FROM sync_items
WHERE dataset = %(dataset)s AND {DONE} AND unit = ANY(%(units)s)
ORDER BY unit, finished_at DESC
"""
_FAILED = """
SELECT unit FROM (
    SELECT DISTINCT ON ({whole}) unit, status, error_class FROM sync_items
    WHERE dataset = %(dataset)s ORDER BY {whole}, finished_at DESC
) AS last
WHERE NOT {done} AND error_class IS DISTINCT FROM '{unknown}' ORDER BY unit
"""
_WHOLE = {True: "unit", False: "coalesce(ts_code, '')"}
"""What is asked for again under the same name: a dated unit, or the list (the board), of whatever day."""
_BEGIN = """
INSERT INTO sync_runs (id, command_id, trigger, parameters, status, process, presence)
VALUES (%(id)s, %(command_id)s, %(trigger)s, %(parameters)s, 'running', %(process)s, %(presence)s)
ON CONFLICT (id) DO UPDATE SET
    status = 'running', finished_at = NULL, process = excluded.process, presence = excluded.presence
"""
_PLANNED = """
UPDATE sync_runs SET units_planned = units_planned + %(planned)s, units_skipped = units_skipped + %(skipped)s
WHERE id = %(id)s
"""
_SETTLE = """
WITH per_source AS (
    SELECT coalesce(source, '-') AS source, count(*) AS units, count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status = 'partial') AS partial,
           coalesce(sum(rows) FILTER (WHERE calls + attempts > 0), 0) AS rows, sum(calls) AS calls,
           round(sum(seconds)::numeric, 2) AS seconds
    FROM sync_items WHERE sync_run = %(id)s GROUP BY 1
), totals AS (
    SELECT count(*) FILTER (WHERE status <> 'failed') AS done, count(*) FILTER (WHERE status = 'failed') AS failed,
           count(*) FILTER (WHERE status = 'partial') AS partial,
           coalesce(sum(calls), 0) AS calls, coalesce(sum(inserted), 0) AS inserted, coalesce(sum(updated), 0) AS updated,
           coalesce(sum(unchanged), 0) AS unchanged, coalesce(sum(rejected), 0) AS rejected
    FROM sync_items WHERE sync_run = %(id)s
)
UPDATE sync_runs SET
    units_done = totals.done, units_failed = totals.failed, calls = totals.calls, rows_inserted = totals.inserted,
    rows_updated = totals.updated, rows_unchanged = totals.unchanged, rows_rejected = totals.rejected,
    by_source = coalesce((SELECT jsonb_object_agg(source, to_jsonb(per_source) - 'source') FROM per_source), '{}'),
    status = CASE
        WHEN %(error)s::text IS NOT NULL OR (totals.failed > 0 AND totals.done = 0 AND units_skipped = 0) THEN 'failed'
        WHEN totals.failed + totals.partial > 0 THEN 'success_with_errors'
        ELSE 'success' END,
    error = %(error)s,
    finished_at = clock_timestamp()
FROM totals WHERE id = %(id)s
"""
_DEAD = f"SELECT id FROM sync_runs WHERE status = 'running' AND NOT {ALIVE}"
DIED = marked("the process died (kill, power cut or lost connection); what it had committed is kept, run it again to go on")


COMMAND_ID_VARIABLE = "QUANT_COMMAND_ID"
"""Variable of a command's environment: the id that its call has, where who started it wants to know it."""
COMMAND_ID_TAG = "quant/command_id"
"""Tag of a Dagster run: which call of a command asked for it; the runs of one call have the same."""
INTERRUPTED = marked("interrupted: what it had committed is kept, run it again to go on")


class Ledger:
    """The ledger of one process: `presence` is its sign of life, by which others see that a run is still going on."""

    def __init__(self, database: Database, presence: Presence) -> None:
        self._database = database
        self._presence = presence

    def begin(self, run: str, trigger: str, parameters: Mapping[str, Any], *, command_id: str | None = None) -> None:
        """Opens the run (again, when a later step of the same run calls it); closes those whose process died.

        `command_id`: which call of a command asked for it, if one did; the runs of one call have the same.
        """
        me = {"process": self._presence.process, "presence": self._presence.id}
        values = {"id": run, "command_id": command_id, "trigger": trigger, "parameters": Jsonb(dict(parameters))}
        with self._database.connect() as connection:
            close_dead(connection)
            connection.execute(_BEGIN, values | me)

    def plan(self, run: str, planned: int, skipped: int) -> None:
        """Adds to the run's planned units, of which `skipped` were done before."""
        with self._database.pool.connection() as connection:
            connection.execute(_PLANNED, {"id": run, "planned": planned, "skipped": skipped})

    def finish(self, run: str, error: str | None = None) -> None:
        """Closes the run: totals, per-source statistics and status, all from its items."""
        with self._database.connect() as connection:
            connection.execute(_SETTLE, {"id": run, "error": error})

    def done(self, dataset: Dataset, units: Sequence[Unit]) -> dict[str, Item]:
        """Those of the units that were synced before, by whichever run, with their last result."""
        values = {"dataset": dataset.name, "units": [str(unit) for unit in units]}
        with self._database.pool.connection() as connection, connection.cursor(row_factory=class_row(Item)) as cursor:
            return {item.unit: item for item in cursor.execute(_DONE, values)}

    def failed(self, dataset: Dataset) -> list[Unit]:
        """The units whose last attempt failed, or is to be made again (rows were refused), by whichever run."""
        with self._database.connect() as connection:
            rows = connection.execute(
                _FAILED.format(whole=_WHOLE[dataset.dated], done=DONE, unknown=UNKNOWN_CODE), {"dataset": dataset.name}
            ).fetchall()
        return [Unit.parse(unit, snapshot=not dataset.dated) for (unit,) in rows]

    def run(self, run: str) -> dict[str, Any] | None:
        """The run's row, as it stands."""
        with self._database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute("SELECT * FROM sync_runs WHERE id = %s", (run,)).fetchone()


def units_of(connection: psycopg.Connection, run: str, dataset: Dataset) -> dict[Unit, bool]:
    """What the run recorded of the data set so far: unit -> whether it was stored, in part at least."""
    rows = connection.execute(
        "SELECT unit, status <> %s FROM sync_items WHERE sync_run = %s AND dataset = %s", (ItemStatus.FAILED, run, dataset.name)
    ).fetchall()
    return {Unit.parse(unit, snapshot=not dataset.dated): stored for unit, stored in rows}


def close_interrupted(connection: psycopg.Connection, run: str) -> None:
    """Closes the books of a run that was stopped in the middle. A run that keeps none has nothing to close."""
    connection.execute(_SETTLE, {"id": run, "error": INTERRUPTED})


def close_dead(connection: psycopg.Connection) -> None:
    """Closes the books of runs whose process died."""
    for (dead,) in connection.execute(_DEAD).fetchall():
        connection.execute(_SETTLE, {"id": dead, "error": DIED})


def record(connection: psycopg.Connection, run: str, dataset: Dataset, items: Iterable[Item]) -> None:
    """Writes the items in the caller's transaction: rows and their record land together, or not at all."""
    values = [{"sync_run": run, "dataset": dataset.name, **vars(item)} for item in items]
    with connection.cursor() as cursor:
        cursor.executemany(_RECORD, values)


def item_of(unit: Unit, **fields: Any) -> Item:
    """An item for the unit, with its session or code filled in."""
    session = unit.start if unit.grain is Grain.SESSION else None
    return Item(unit=str(unit), trade_date=session, ts_code=unit.ts_code, **fields)
