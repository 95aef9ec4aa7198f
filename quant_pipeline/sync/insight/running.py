"""The syncs that are going on now, and how far they have come."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from psycopg.rows import class_row

from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import Connection
from quant_pipeline.warehouse.presence import ALIVE

_RUNNING = f"""
SELECT id AS run, coalesce(command_id, id) AS command, trigger, process, started_at,
       units_planned AS planned, units_skipped AS skipped, item.*,
       extract(epoch FROM clock_timestamp() - started_at)::float8 AS seconds
FROM sync_runs CROSS JOIN LATERAL (
    SELECT count(*) AS fetched, count(*) FILTER (WHERE sync_items.status = 'failed') AS failed,
           coalesce(sum(rows), 0)::bigint AS rows,
           (SELECT dataset FROM sync_items WHERE sync_run = sync_runs.id ORDER BY finished_at DESC LIMIT 1) AS dataset
    FROM sync_items WHERE sync_run = sync_runs.id
) AS item
WHERE sync_runs.status = 'running' AND {ALIVE}
ORDER BY started_at
"""


@dataclass(frozen=True)
class RunningSync:
    """A sync whose process lives. `command`: the id of the command's call that it is of, as `history` has it; else its own ·
    `planned`: units of the data sets begun so far, `skipped` those of them done before.

    `dataset`: the one that was committed last · `seconds`: since its start.
    """

    run: str
    command: str
    trigger: str
    process: str
    started_at: dt.datetime
    planned: int
    skipped: int
    fetched: int
    failed: int
    rows: int
    dataset: str | None
    seconds: float

    @property
    def done(self) -> int:
        """Units that need nothing more; never more than planned (filled gaps are recorded, but not planned)."""
        return min(self.skipped + self.fetched, self.planned)

    @property
    def share(self) -> float:
        """Of what is planned so far, 0 to 1."""
        return self.done / self.planned if self.planned else 0.0

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None until there is one."""
        return self.seconds / self.fetched * (self.planned - self.done) if self.fetched else None


def running(database: Database) -> list[RunningSync]:
    """Every sync that is going on, the oldest first: the one that holds the slot, and runs from asset pages."""
    with database.connect() as connection:
        return running_on(connection)


def running_on(connection: Connection) -> list[RunningSync]:
    """The same, over a connection that is there."""
    with connection.cursor(row_factory=class_row(RunningSync)) as cursor:
        return cursor.execute(_RUNNING).fetchall()
