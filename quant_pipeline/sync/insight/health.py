"""The health of each source and API: calls, success rate, time, quota, circuit. All from the database: no call is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.sources.policy import Policies, policy_for
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

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


def health_of(database: Database, policies: Policies, priorities: Mapping[str, int]) -> pl.DataFrame:
    """A row per source (api `*`: the source as a whole) and per API that was ever called, in order of priority.

    source, api, priority (the table's, else the environment's), set (whether it is the table's), circuit, open_since,
    retry_at, blocked_until, demoted_at, reason, calls_minute, quota (calls a minute, null: none), quota_used (%),
    calls_hour, calls_day, and over the last 50 calls: judged (how many they are), success_rate (%), seconds_avg,
    seconds_p95. `priorities`: those of the environment.
    """
    states = read_sql(database, _STATES, {"sources": list(priorities)})
    called = states.filter(pl.col("api") != _WHOLE).select("source", "api", "per_minute")
    paced = [policy_for(policies, source, api) for source, api, _ in called.iter_rows()]
    values = {"sources": called["source"].to_list(), "apis": called["api"].to_list(), "spans": [each.minute for each in paced]}
    quotas = called.with_columns(pl.Series("quota", [each.per_minute for each in paced], pl.Int64))
    by_api = read_sql(database, _CALLS, values).join(
        # The source itself may have named a lower quota than the policy's.
        quotas.select("source", "api", quota=pl.min_horizontal("quota", "per_minute")),
        on=["source", "api"],
    )
    by_source = by_api.group_by("source").agg(pl.sum("calls_minute", "calls_hour", "calls_day"))
    known = pl.DataFrame({"source": list(priorities), "environment": list(priorities.values())})
    whole = known.join(by_source, on="source", how="left").with_columns(pl.col("^calls_.*$").fill_null(0), api=pl.lit(_WHOLE))
    rows = pl.concat([whole, by_api.join(known, on="source")], how="diagonal_relaxed").join(
        states.drop("per_minute"), on=["source", "api"], how="left"
    )
    of_source = states.filter(pl.col("api") == _WHOLE).select("source", of_source="priority")
    place = pl.coalesce("of_source", "environment")
    return (
        rows.join(of_source, on="source", how="left")
        .with_columns(set=pl.col("priority").is_not_null(), priority=pl.coalesce("priority", place))
        .with_columns(
            pl.col("circuit").fill_null("closed"),
            pl.col("judged").fill_null(0),
            pl.selectors.datetime().dt.convert_time_zone(str(clock.EXCHANGE_ZONE)),
            quota_used=pl.col("calls_minute") / pl.col("quota") * 100,
        )
        .sort(place == 0, place, "source", pl.col("api") != _WHOLE, "api")
        .select(_COLUMNS)
    )


def outcomes(database: Database) -> pl.DataFrame:
    """source, api, outcome, calls: those of the last 24 hours."""
    return read_sql(database, _OUTCOMES)


def unhealthy(health: pl.DataFrame) -> pl.DataFrame:
    """Those APIs of `health_of` that deserve an alert: at least 10 calls judged, of which fewer than 90 % succeeded or that
    took more than 5 s on average. One that nobody has called for an hour tells nothing new."""
    return health.filter(_JUDGED, _fails(UNHEALTHY_BELOW) | _is_slow(SLOW_ABOVE))


def open_circuits(health: pl.DataFrame) -> pl.DataFrame:
    """Those APIs that are left alone after repeated failures, and were called within the hour."""
    return health.filter(pl.col("circuit") != "closed", pl.col("calls_hour") > 0)


def troubles(health: pl.DataFrame) -> dict[str, str]:
    """`source.api` -> what is wrong with it, in words: unhealthy ones and open circuits."""
    rows = pl.concat([open_circuits(health), unhealthy(health)]).unique(["source", "api"], maintain_order=True)
    return {_name(row): _words(row) for row in rows.iter_rows(named=True)}


def failing(health: pl.DataFrame, below: float = UNHEALTHY_BELOW) -> dict[str, str]:
    """`source.api` -> in words, where fewer calls succeeded than `below` (%)."""
    return {_name(row): _share(row) for row in health.filter(_JUDGED, _fails(below)).iter_rows(named=True)}


def slow(health: pl.DataFrame, above: float = SLOW_ABOVE) -> dict[str, str]:
    """`source.api` -> in words, where a call took longer than `above` (seconds) on average."""
    return {_name(row): _pace(row) for row in health.filter(_JUDGED, _is_slow(above)).iter_rows(named=True)}


def cut_off(health: pl.DataFrame) -> dict[str, str]:
    """`source.api` -> in words, where the circuit is open."""
    return {_name(row): _circuit(row) for row in open_circuits(health).iter_rows(named=True)}


def prune(database: Database) -> int:
    """Deletes the calls of more than seven days ago; how many they were."""
    with database.connect() as connection:
        return connection.execute(_PRUNE).rowcount


_JUDGED = (pl.col("judged") >= ENOUGH) & (pl.col("calls_hour") > 0)


def _fails(below: float) -> pl.Expr:
    return pl.col("success_rate") < below


def _is_slow(above: float) -> pl.Expr:
    return pl.col("seconds_avg") > above


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
