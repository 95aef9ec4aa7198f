"""The health of each source and API: calls, success rate, time, quota, circuit. All from the database: no call is spent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter
from typing import Any

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.sources.policy import Policies, policy_for
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.rows import Row, rows_of

LAST = 50
"""Calls that success rate and times are counted over."""
ENOUGH = 10
"""Calls below which no rate is judged."""
UNHEALTHY_BELOW = 90.0
"""Success rate in %."""
SLOW_ABOVE = 5.0
"""Seconds per call on average."""
KEPT_DAYS = 7
_WHOLE = "*"
_COLUMNS = (
    "source",
    "api",
    "priority",
    "set",
    "circuit",
    "open_since",
    "retry_at",
    "blocked_until",
    "demoted_at",
    "reason",
    "calls_minute",
    "quota",
    "quota_used",
    "calls_hour",
    "calls_day",
    "judged",
    "success_rate",
    "seconds_avg",
    "seconds_p95",
)

_STATES = """
SELECT source, api, priority, per_minute, circuit, failures, demoted_at,
       CASE WHEN circuit <> 'closed' THEN (
           SELECT min(at) FROM source_events AS event
           WHERE event.source = state.source AND event.api = state.api AND kind = 'circuit_opened' AND at > coalesce((
               SELECT max(at) FROM source_events AS closed
               WHERE closed.source = state.source AND closed.api = state.api AND kind IN ('circuit_closed', 'reset')
           ), '-infinity')
       ) END AS open_since,
       CASE WHEN circuit <> 'closed' THEN retry_at END AS retry_at,
       CASE WHEN blocked_until > now() THEN blocked_until END AS blocked_until,
       CASE WHEN circuit <> 'closed' OR blocked_until > now() THEN reason
            WHEN demoted_at IS NOT NULL THEN (
                SELECT reason FROM source_events AS event
                WHERE event.source = state.source AND event.api = state.api AND kind = 'demoted' ORDER BY at DESC LIMIT 1
            ) END AS reason
FROM source_state AS state WHERE source = ANY(%(sources)s)
"""
# A quota used up, a call refused unmade, a process of ours that died: they say nothing of the source.
_CALLS = f"""
SELECT pair.source, pair.api, counted.*, recent.*
FROM unnest(%(sources)s::text[], %(apis)s::text[], %(spans)s::float8[]) AS pair (source, api, span)
CROSS JOIN LATERAL (
    SELECT count(*) AS calls_day,
           count(*) FILTER (WHERE finished_at IS NULL OR finished_at > now() - interval '1 hour') AS calls_hour,
           count(*) FILTER (WHERE finished_at IS NULL OR finished_at > now() - make_interval(secs => span)) AS calls_minute
    FROM source_calls
    WHERE source_calls.source = pair.source AND source_calls.api = pair.api
      AND (finished_at IS NULL OR finished_at > now() - interval '24 hours')
) AS counted
CROSS JOIN LATERAL (
    SELECT count(*) AS judged, avg(CASE outcome WHEN 'ok' THEN 100 ELSE 0 END)::float8 AS success_rate,
           avg(seconds)::float8 AS seconds_avg, percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS seconds_p95
    FROM (
        SELECT outcome, extract(epoch FROM finished_at - started_at)::float8 AS seconds FROM source_calls
        WHERE source_calls.source = pair.source AND source_calls.api = pair.api AND finished_at IS NOT NULL
          AND outcome NOT IN ('rate_limited', 'circuit_open', 'died', 'broken_off')
        ORDER BY finished_at DESC LIMIT {LAST}
    ) AS call
) AS recent
"""
_OUTCOMES = """
SELECT source, api, outcome, count(*) AS calls FROM source_calls
WHERE finished_at > now() - interval '24 hours' GROUP BY source, api, outcome ORDER BY source, api, outcome
"""
_PRUNE = f"DELETE FROM source_calls WHERE finished_at < now() - interval '{KEPT_DAYS} days'"


def health_of(database: Database, policies: Policies, priorities: Mapping[str, int]) -> list[Row]:
    """A row per source (api `*`: the source as a whole) and per API that was ever called, in order of priority.

    source, api, priority (the table's, else the environment's), set (whether it is the table's), circuit, open_since,
    retry_at, blocked_until, demoted_at, reason, calls_minute, quota (calls a minute, None: none), quota_used (%),
    calls_hour, calls_day, and over the last 50 calls: judged (how many they are), success_rate (%), seconds_avg,
    seconds_p95. `priorities`: those of the environment.
    """
    with database.connect() as connection:
        states = {(row["source"], row["api"]): row for row in rows_of(connection, _STATES, {"sources": [*priorities]})}
        called = [key for key in states if key[1] != _WHOLE]
        paces = {key: policy_for(policies, *key) for key in called}
        values = {
            "sources": [source for source, _ in called],
            "apis": [api for _, api in called],
            "spans": [float(pace.minute) for pace in paces.values()],
        }
        calls = {(row["source"], row["api"]): row for row in rows_of(connection, _CALLS, values)}
    rows = []
    for source, environment in priorities.items():
        of_source = states.get((source, _WHOLE), {}).get("priority")
        place = environment if of_source is None else of_source
        of_apis = [counted for key, counted in calls.items() if key[0] == source]
        sums = {name: sum(each[name] for each in of_apis) for name in ("calls_minute", "calls_hour", "calls_day")}
        for counted in ({"source": source, "api": _WHOLE, **sums}, *of_apis):
            key = (source, counted["api"])
            state = states.get(key, {})
            own = state.get("priority")
            # The source itself may have named a lower quota than the policy's.
            bounds = (paces[key].per_minute, state["per_minute"]) if key in paces else ()
            quota = min((each for each in bounds if each is not None), default=None)
            derived = {
                "priority": place if own is None else own,
                "set": own is not None,
                "circuit": state.get("circuit") or "closed",
                "judged": counted.get("judged") or 0,
                "quota": quota,
                "quota_used": counted["calls_minute"] / quota * 100 if quota else None,
            }
            row = {**state, **counted, **derived}
            rows.append(((place == 0, place, source, key[1] != _WHOLE, key[1]), {name: row.get(name) for name in _COLUMNS}))
    return [row for _, row in sorted(rows, key=itemgetter(0))]


def outcomes(database: Database) -> pl.DataFrame:
    """source, api, outcome, calls: those of the last 24 hours."""
    return read_sql(database, _OUTCOMES)


def unhealthy(health: Iterable[Row]) -> list[Row]:
    """Those APIs of `health_of` that deserve an alert: at least 10 calls judged, of which fewer than 90 % succeeded or that
    took more than 5 s on average. One that nobody has called for an hour tells nothing new."""
    return [row for row in health if _is_judged(row) and (_fails(row, UNHEALTHY_BELOW) or _is_slow(row, SLOW_ABOVE))]


def open_circuits(health: Iterable[Row]) -> list[Row]:
    """Those APIs that are left alone after repeated failures, and were called within the hour."""
    return [row for row in health if row["circuit"] != "closed" and row["calls_hour"]]


def troubles(health: Collection[Row]) -> dict[str, str]:
    """`source.api` -> what is wrong with it, in words: unhealthy ones and open circuits."""
    return {_name(row): _words(row) for row in (*open_circuits(health), *unhealthy(health))}


def failing(health: Iterable[Row], below: float = UNHEALTHY_BELOW) -> dict[str, str]:
    """`source.api` -> in words, where fewer calls succeeded than `below` (%)."""
    return {_name(row): _share(row) for row in health if _is_judged(row) and _fails(row, below)}


def slow(health: Iterable[Row], above: float = SLOW_ABOVE) -> dict[str, str]:
    """`source.api` -> in words, where a call took longer than `above` (seconds) on average."""
    return {_name(row): _pace(row) for row in health if _is_judged(row) and _is_slow(row, above)}


def cut_off(health: Iterable[Row]) -> dict[str, str]:
    """`source.api` -> in words, where the circuit is open."""
    return {_name(row): _circuit(row) for row in open_circuits(health)}


def prune(database: Database) -> int:
    """Deletes the calls of more than seven days ago; how many they were."""
    with database.connect() as connection:
        return connection.execute(_PRUNE).rowcount


def _is_judged(row: Row) -> bool:
    return bool(row["judged"] >= ENOUGH and row["calls_hour"])


def _fails(row: Row, below: float) -> bool:
    return bool(row["success_rate"] < below)


def _is_slow(row: Row, above: float) -> bool:
    return bool(row["seconds_avg"] > above)


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['source']}.{row['api']}"


def _words(row: Mapping[str, Any]) -> str:
    parts = []
    if row["circuit"] != "closed":
        parts.append(_circuit(row))
    if row["judged"] >= ENOUGH and row["success_rate"] < UNHEALTHY_BELOW:
        parts.append(_share(row))
    if row["judged"] >= ENOUGH and row["seconds_avg"] > SLOW_ABOVE:
        parts.append(_pace(row))
    return "; ".join(parts)


def _circuit(row: Mapping[str, Any]) -> str:
    until = say(", next try {at:%H:%M:%S}", at=row["retry_at"]) if row["retry_at"] else ""
    since = say("circuit {state} since {at:%H:%M:%S}", state=row["circuit"], at=row["open_since"])
    return f"{since}{until}: {row['reason']}"


def _share(row: Mapping[str, Any]) -> str:
    return say("{rate:.0f} % of the last {count} calls succeeded", rate=row["success_rate"], count=row["judged"])


def _pace(row: Mapping[str, Any]) -> str:
    return say("{seconds:.1f} s a call on average", seconds=row["seconds_avg"])
