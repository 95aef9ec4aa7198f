"""What a run came to, gathered from the ledger and the tables: the same facts for the screen and for --json."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from psycopg.rows import dict_row

from quant_pipeline.console.words import SHORT
from quant_pipeline.sources.failures import AWAY
from quant_pipeline.sources.ranking import FAILOVER
from quant_pipeline.warehouse.database import Database

# A session that is complete once all its codes came has an item of its own, for which nobody was asked. What several runs of
# a command tried is one unit, and is what it came to at last.
_BY_DATASET = """
WITH tried AS (
    SELECT *, row_number() OVER (PARTITION BY dataset, unit ORDER BY finished_at DESC, sync_run) = 1 AS at_last,
           bool_or(calls + attempts > 0) OVER (PARTITION BY dataset, unit) AS asked
    FROM sync_items WHERE sync_run = ANY(%s)
)
SELECT dataset, min(trade_date) AS first, max(trade_date) AS last,
       count(ts_code) AS codes, count(*) FILTER (WHERE at_last AND status <> 'failed' AND asked) AS units,
       count(*) FILTER (WHERE at_last AND status = 'failed') AS failed,
       coalesce(sum(rows) FILTER (WHERE calls + attempts > 0), 0)::bigint AS rows,
       sum(inserted)::bigint AS inserted,
       sum(updated)::bigint AS updated, sum(unchanged)::bigint AS unchanged, sum(rejected)::bigint AS rejected,
       sum(calls)::bigint AS calls, array_to_string(ARRAY(SELECT DISTINCT unnest(string_to_array(
           string_agg(source, ', ') FILTER (WHERE calls + attempts > 0), ', ')) ORDER BY 1), ', ') AS sources
FROM tried GROUP BY dataset ORDER BY min(finished_at)
"""
_LAST_FAILED = """
WITH tried AS (
    SELECT DISTINCT ON (dataset, unit) dataset, unit, status, error_class, error FROM sync_items
    WHERE sync_run = ANY(%(runs)s) ORDER BY dataset, unit, finished_at DESC, sync_run
), failed AS (
    SELECT dataset, unit, error_class, error, error_class = ANY(%(away)s) IS TRUE AS away,
           CASE WHEN starts_with(error, dataset || ' ' || unit || ': ')
                THEN substr(error, length(dataset || ' ' || unit || ': ') + 1) ELSE error END AS why
    FROM tried WHERE status <> 'success'
)
"""
# One cause and data set: the first unit stands for all of them. Of what nobody could be asked for, the words differ by seconds.
_FAILED = f"""{_LAST_FAILED}
SELECT dataset, (array_agg(unit ORDER BY unit))[1] AS unit, count(*) AS units,
       (array_agg(error_class ORDER BY unit))[1] AS error_class, (array_agg(error ORDER BY unit))[1] AS error
FROM failed GROUP BY dataset, away, CASE WHEN NOT away THEN concat_ws(' ', error_class, why) END
ORDER BY dataset, 2 LIMIT 20
"""
# The words of a call that was made, at whichever try: who came later was told that nobody is asked now.
_UNANSWERED = f"""{_LAST_FAILED}
SELECT count(*) AS units, array_agg(DISTINCT dataset) AS datasets, coalesce(
           (SELECT substr(error, length(dataset || ' ' || unit || ': ') + 1) FROM sync_items
            WHERE sync_run = ANY(%(runs)s) AND error_class = 'unreachable'
              AND starts_with(error, dataset || ' ' || unit || ': ') ORDER BY length(error), unit LIMIT 1),
           (array_agg(why ORDER BY length(why), why))[1]) AS why
FROM failed WHERE away HAVING count(*) > 0
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
_LOOKED = "SELECT screen FROM screenings WHERE trade_date = %s"
_MESSAGES = """
SELECT title, status, error, created_at < clock_timestamp() - make_interval(secs => %s) AS earlier,
       (SELECT max(sent_at) FROM deliveries WHERE deliveries.message = messages.id) AS sent_at
FROM messages WHERE dedupe_key LIKE %s OR dedupe_key = ANY(%s) ORDER BY created_at DESC LIMIT 3
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
    """Per data set and cause: how many `units`, and the first of them."""
    unanswered: dict[str, Any] | None = None
    """Of the failures those for which no source could be asked at all: units, datasets, why."""
    errors: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Data sets that no source in use serves, and why; not those that were named."""
    failovers: list[str] = field(default_factory=list)
    """Where a source failed and the next one answered, in words."""
    checks_passed: int = 0
    checks_failed: list[dict[str, Any]] = field(default_factory=list)
    hits: list[dict[str, Any]] | None = None
    """The session's hits; None for a command that does not screen."""
    stored: bool = True
    """Whether there are bars of the session: without them no screen looked at anything."""
    unscreened: list[str] = field(default_factory=list)
    """Screens that were to look at the session and have not: what they need failed, or they did."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def id_to_paste(self) -> str:
        """What `history --run` takes for all of it."""
        return (self.command_id or "")[:SHORT]

    def as_dict(self) -> dict[str, Any]:
        """For --json: dates as ISO text."""
        return asdict(self)


def synced(database: Database, run_ids: list[str]) -> dict[str, Any]:
    """What the runs wrote and what failed."""
    of_runs = {"runs": run_ids, "away": sorted(AWAY)}
    return {
        "datasets": _rows(database, _BY_DATASET, (run_ids,)),
        "failures": _rows(database, _FAILED, of_runs),
        "unanswered": next(iter(_rows(database, _UNANSWERED, of_runs)), None),
        "failovers": [row["words"] for row in _rows(database, _FAILOVERS, (FAILOVER, run_ids))],
    }


def run_status(database: Database, run_id: str) -> str | None:
    """The run's status in the ledger; None when it wrote no books (a run of screens only)."""
    found = _rows(database, _RUN, (run_id,))
    return str(found[0]["status"]) if found else None


def hits(database: Database, session: dt.date, screen: str | None = None) -> list[dict[str, Any]]:
    """The hits of all screens (of the one) in the session, best first."""
    return _rows(database, _HITS, {"session": session, "screen": screen})


def unscreened(database: Database, session: dt.date, screens: Sequence[str]) -> list[str]:
    """Those of the screens that have never looked at the session; one that did and hit nothing is none of them."""
    looked = {row["screen"] for row in _rows(database, _LOOKED, (session,))}
    return [screen for screen in screens if screen not in looked]


def messages(
    database: Database, screened: dt.date | None, command_id: str | None = None, screen: str = "%", *, seconds: float
) -> list[dict[str, Any]]:
    """What became of the messages about the runs of the command (None: it has none), and about the screens (the one) of the
    session that was screened. `seconds`: since the command began; what was told before that is `earlier`."""
    about = f"screen:{screen}:{screened}:%" if screened else None
    return _rows(database, _MESSAGES, (seconds, about, [f"run-failed:{command_id}"] if command_id else []))


def _rows(database: Database, query: str, values: tuple[Any, ...] | dict[str, Any]) -> list[dict[str, Any]]:
    with database.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()
