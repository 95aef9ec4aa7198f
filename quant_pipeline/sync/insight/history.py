"""The last syncs, and what became of each unit of one."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from quant_pipeline.market import clock
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import ALIVE
from quant_pipeline.warehouse.reads import read_sql

PER_PAGE = 20
PER_PAGE_OF_ITEMS = 100
# A run that is not closed has its counts in its items only; `died` is what the next sync will find out about it.
_RUNS = f"""
SELECT id AS run, trigger,
       CASE WHEN status = 'running' AND NOT {ALIVE} THEN 'died' ELSE status END AS status,
       started_at, finished_at,
       extract(epoch FROM coalesce(finished_at, so_far.last_at, started_at) - started_at)::float8 AS seconds,
       units_planned, units_skipped,
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
ORDER BY started_at DESC, id LIMIT %(count)s OFFSET %(before)s
"""
_ITEMS = """
SELECT dataset, unit, status, source, rows, inserted, updated, unchanged, rejected, missing, attempts, calls, seconds,
       error_class, error, finished_at
FROM sync_items WHERE sync_run = %(run)s
ORDER BY status <> 'failed', finished_at, dataset, unit LIMIT %(count)s OFFSET %(before)s
"""
_FOUND = "SELECT id FROM sync_runs WHERE starts_with(id, %(begins)s) ORDER BY started_at DESC LIMIT 6"
_KNOWN = "SELECT left(id, 8) AS id FROM sync_runs ORDER BY started_at DESC LIMIT 5"


@dataclass(frozen=True)
class Page:
    """A page of `rows`, of `total` in all; pages count from 1."""

    rows: pl.DataFrame
    page: int
    per_page: int
    total: int

    @property
    def pages(self) -> int:
        return max(-(-self.total // self.per_page), 1)


def runs(database: Database, *, page: int = 1, per_page: int = PER_PAGE) -> Page:
    """The syncs, the latest first: run, trigger, status (of the ledger, or `died`), started_at, finished_at, seconds,
    units_planned, units_skipped, units_done, units_failed, rows_inserted, rows_updated, rows_unchanged, rows_rejected,
    calls, by_source (JSON text), process, error. A running one has the counts of what it committed so far."""
    total = read_sql(database, "SELECT count(*) FROM sync_runs").item()
    return Page(_local(read_sql(database, _RUNS, _window(page, per_page))), page, per_page, total)


def items(database: Database, run: str, *, page: int = 1, per_page: int = PER_PAGE_OF_ITEMS) -> Page:
    """The units of one run, failed ones first, then in order of commit: dataset, unit, status, source, rows, inserted,
    updated, unchanged, rejected, missing, attempts, calls, seconds, error_class, error, finished_at.

    `run` is a whole id, as `run_of` gives it.
    """
    total = read_sql(database, "SELECT count(*) FROM sync_items WHERE sync_run = %(run)s", {"run": run}).item()
    return Page(_local(read_sql(database, _ITEMS, {"run": run} | _window(page, per_page))), page, per_page, total)


def run_of(database: Database, begins: str) -> str:
    """The id of the one run that begins so; ValueError names the runs that there are."""
    found: list[str] = read_sql(database, _FOUND, {"begins": begins})["id"].to_list()
    if len(found) == 1 or begins in found:
        return begins if begins in found else found[0]
    if found:
        raise ValueError(f"several runs begin with {begins!r}: {', '.join(found[:5])}{', …' if len(found) > 5 else ''}")
    known = read_sql(database, _KNOWN)["id"].to_list()
    raise ValueError(f"no run begins with {begins!r}. The latest runs: {', '.join(known) or 'none yet'}")


def _window(page: int, per_page: int) -> dict[str, int]:
    return {"count": per_page, "before": (page - 1) * per_page}


def _local(rows: pl.DataFrame) -> pl.DataFrame:
    """With moments in exchange time."""
    return rows.with_columns(pl.selectors.datetime().dt.convert_time_zone(str(clock.EXCHANGE_ZONE)))
