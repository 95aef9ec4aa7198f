"""What a run came to, gathered from the ledger and the tables: the same facts for the screen and for --json."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, field
from typing import Any

from psycopg.rows import dict_row

from quant_pipeline.console.words import SHORT
from quant_pipeline.sources.ranking import FAILOVER
from quant_pipeline.warehouse.database import Database

# A session that is complete once all its codes came has an item of its own, for which nobody was asked.
_BY_DATASET = """
SELECT dataset, min(trade_date) AS first, max(trade_date) AS last,
       count(ts_code) AS codes, count(*) FILTER (WHERE status <> 'failed' AND calls + attempts > 0) AS units,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       coalesce(sum(rows) FILTER (WHERE calls + attempts > 0), 0)::bigint AS rows,
       sum(inserted)::bigint AS inserted,
       sum(updated)::bigint AS updated, sum(unchanged)::bigint AS unchanged, sum(rejected)::bigint AS rejected,
       sum(calls)::bigint AS calls, array_to_string(ARRAY(SELECT DISTINCT unnest(string_to_array(
           string_agg(source, ', ') FILTER (WHERE calls + attempts > 0), ', ')) ORDER BY 1), ', ') AS sources
FROM sync_items WHERE sync_run = ANY(%s) GROUP BY dataset ORDER BY min(finished_at)
"""
_FAILED = """
SELECT dataset, unit, error_class, error FROM sync_items
WHERE sync_run = ANY(%s) AND status <> 'success' ORDER BY dataset, unit LIMIT 20
"""
_FAILOVERS = """
SELECT source || '.' || api || ': ' || reason AS words FROM source_events
WHERE kind = %s AND at >= (SELECT min(started_at) FROM sync_runs WHERE id = ANY(%s)) ORDER BY at, id LIMIT 20
"""
_HITS = """
SELECT screen, ts_code, name, close, pct_chg, score, figures FROM screen_results
WHERE trade_date = %(session)s AND (%(screen)s::text IS NULL OR screen = %(screen)s)
ORDER BY screen, score DESC NULLS LAST, ts_code
"""
_MESSAGES = """
SELECT title, status, error FROM messages WHERE dedupe_key LIKE %s OR dedupe_key = ANY(%s) ORDER BY created_at DESC LIMIT 3
"""
_RUN = "SELECT status, error, rows_inserted, rows_updated, calls FROM sync_runs WHERE id = %s"


@dataclass(frozen=True)
class Report:
    """A run's facts. `checks`: name, passed, text of each failed one under `checks_failed`."""

    mode: str
    session: dt.date
    run_id: str | None = None
    """The first run's id; a command may take several (`run_ids`): one per job."""
    run_ids: list[str] = field(default_factory=list)
    command_id: str | None = None
    """What the runs have in common."""
    status: str = "success"
    nothing_to_do: bool = False
    datasets: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Data sets that no source in use serves, and why; not those that were named."""
    failovers: list[str] = field(default_factory=list)
    """Where a source failed and the next one answered, in words."""
    checks_passed: int = 0
    checks_failed: list[dict[str, Any]] = field(default_factory=list)
    hits: list[dict[str, Any]] | None = None
    """The session's hits; None for a command that does not screen."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def id_to_paste(self) -> str:
        """What `history --run` takes for all of it."""
        return ((self.command_id if len(self.run_ids) > 1 else self.run_id) or "")[:SHORT]

    def as_dict(self) -> dict[str, Any]:
        """For --json: dates as ISO text."""
        return asdict(self)


def synced(database: Database, run_ids: list[str]) -> dict[str, Any]:
    """What the runs wrote and what failed."""
    return {
        "datasets": _rows(database, _BY_DATASET, (run_ids,)),
        "failures": _rows(database, _FAILED, (run_ids,)),
        "failovers": [row["words"] for row in _rows(database, _FAILOVERS, (FAILOVER, run_ids))],
    }


def run_status(database: Database, run_id: str) -> str | None:
    """The run's status in the ledger; None when it wrote no books (a run of screens only)."""
    found = _rows(database, _RUN, (run_id,))
    return str(found[0]["status"]) if found else None


def hits(database: Database, session: dt.date, screen: str | None = None) -> list[dict[str, Any]]:
    """The hits of all screens (of the one) in the session, best first."""
    return _rows(database, _HITS, {"session": session, "screen": screen})


def messages(
    database: Database, screened: dt.date | None, command_id: str | None = None, screen: str = "%"
) -> list[dict[str, Any]]:
    """What became of the messages about the runs of the command (None: it has none), and about the screens (the one) of the
    session that was screened."""
    about = f"screen:{screen}:{screened}:%" if screened else None
    return _rows(database, _MESSAGES, (about, [f"run-failed:{command_id}"] if command_id else []))


def _rows(database: Database, query: str, values: tuple[Any, ...] | dict[str, Any]) -> list[dict[str, Any]]:
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()
