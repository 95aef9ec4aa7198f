"""The ranking of the sources: who is asked first, for which data set, now.

The environment gives each source a priority; the table `source_state` overrules it, for all of a source (api `*`) or for
the data sets that one API serves, also while a sync runs. A source that fails too often is put behind the next one by
itself, and comes back; every such move is recorded in `source_events`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.sources.base import Source

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

FAILOVER = "failover"
_FAILOVER = "INSERT INTO source_events (source, api, kind, reason) VALUES (%s, %s, %s, %s)"
_FRESH = 2.0
"""Seconds for which the table's word is taken without looking again."""
WINDOW = 20
"""The last calls that a success rate is counted over."""
_ENOUGH = 10
"""Calls below which no rate is judged."""
DEMOTED_BELOW = 0.5
RESTORED_FROM = 0.9
_LAST = 1_000
_PROBATION = 1800.0
"""Seconds after which a demoted source gets its place back, if nobody has asked it in the meantime."""

_STATES = "SELECT source, api, priority, demoted_at IS NOT NULL FROM source_state"
_RECENT = f"""
SELECT state.source, state.api, count(call.outcome) AS calls,
       avg((call.outcome IN ('ok', 'rate_limited', 'permanent_api'))::int)::float8 AS rate
FROM source_state AS state CROSS JOIN LATERAL (
    SELECT outcome FROM source_calls
    WHERE source_calls.source = state.source AND source_calls.api = state.api AND finished_at IS NOT NULL
      AND outcome <> 'broken_off' AND finished_at > clock_timestamp() - interval '1 hour'
      AND (state.demoted_at IS NULL OR finished_at > state.demoted_at)
    ORDER BY finished_at DESC LIMIT {WINDOW}
) AS call
GROUP BY state.source, state.api
"""
_MOVE = f"""
WITH recent AS ({_RECENT}), judged AS (
    SELECT state.source, state.api, state.demoted_at, recent.calls, recent.rate,
        CASE
            WHEN state.demoted_at IS NULL AND recent.calls >= {_ENOUGH} AND recent.rate < {DEMOTED_BELOW} THEN 'demoted'
            WHEN state.demoted_at IS NOT NULL AND recent.calls >= {_ENOUGH} AND recent.rate >= {RESTORED_FROM} THEN 'restored'
            WHEN state.demoted_at < clock_timestamp() - make_interval(secs => {_PROBATION}) THEN 'restored'
        END AS kind
    FROM source_state AS state LEFT JOIN recent USING (source, api)
    WHERE state.source = ANY(%(sources)s)
), moved AS (
    UPDATE source_state SET demoted_at = CASE judged.kind WHEN 'demoted' THEN clock_timestamp() END
    FROM judged
    WHERE source_state.source = judged.source AND source_state.api = judged.api AND judged.kind IS NOT NULL
      AND source_state.demoted_at IS NOT DISTINCT FROM judged.demoted_at
    RETURNING judged.source, judged.api, judged.kind, judged.calls, judged.rate
)
INSERT INTO source_events (source, api, kind, reason)
SELECT source, api, kind, CASE
    WHEN kind = 'restored' AND coalesce(calls, 0) < {_ENOUGH} THEN 'half an hour has passed: it gets another chance'
    ELSE format('%%s of the last %%s calls succeeded: %%s', round(rate * calls), calls,
                CASE kind WHEN 'demoted' THEN 'put behind the next source' ELSE 'back in its place' END) END
FROM moved
"""


@dataclass(frozen=True)
class ApiState:
    """What the table says of a (source, API)."""

    priority: int | None
    demoted: bool


class Ranking:
    """The order of the sources, kept up to date from the database. Threads may share one."""

    def __init__(
        self, pool: ConnectionPool[psycopg.Connection[Any]], priorities: Mapping[str, int], *, fresh: float = _FRESH
    ) -> None:
        """`priorities`: source -> the environment's priority (1 is first, 0 is off)."""
        self._pool = pool
        self._priorities = dict(priorities)
        self._fresh = fresh
        self._states: dict[tuple[str, str], ApiState] = {}
        self._seen: float | None = None
        self._lock = threading.Lock()

    def configured(self, dataset: Dataset, sources: Sequence[Source]) -> list[Source]:
        """Those of the sources that are on for the data set, best first, as environment and table order them."""
        states = self._current()
        ranked = [(self._priority(states, dataset, source), index, source) for index, source in enumerate(sources)]
        return [source for priority, _, source in sorted(ranked, key=lambda each: each[:2]) if priority > 0]

    def owners(self, dataset: Dataset, sources: Sequence[Source]) -> list[Source]:
        """The sources in the order in which they own rows: one that the table switched off keeps what it gave."""
        states = self._current()
        ranks = [self._priority(states, dataset, source) or self._priorities.get(source.name, 0) or _LAST for source in sources]
        return [
            source for _, _, source in sorted(zip(ranks, range(len(ranks)), sources, strict=True), key=lambda each: each[:2])
        ]

    def order(self, dataset: Dataset, sources: Sequence[Source]) -> list[Source]:
        """As `configured`, with each demoted source behind the next one that is not."""
        states = self._current()
        order = self.configured(dataset, sources)
        for index in reversed(range(len(order) - 1)):
            if self._demoted(states, dataset, order[index]) and not self._demoted(states, dataset, order[index + 1]):
                order[index], order[index + 1] = order[index + 1], order[index]
        return order

    def record_failover(self, source: str, api: str, reason: str) -> None:
        """Keeps in `source_events` that the next source answered where this one had failed."""
        with self._pool.connection() as connection:
            connection.execute(_FAILOVER, (source, api, FAILOVER, reason))

    def _priority(self, states: Mapping[tuple[str, str], ApiState], dataset: Dataset, source: Source) -> int:
        for api in _apis(dataset, source):
            state = states.get((source.name, api))
            if state is not None and state.priority is not None:
                return state.priority
        return self._priorities.get(source.name, 1)

    def _demoted(self, states: Mapping[tuple[str, str], ApiState], dataset: Dataset, source: Source) -> bool:
        return any(states[source.name, api].demoted for api in _apis(dataset, source) if (source.name, api) in states)

    def _current(self) -> dict[tuple[str, str], ApiState]:
        with self._lock:
            now = time.monotonic()
            if self._seen is None or now - self._seen >= self._fresh:
                with self._pool.connection() as connection:
                    connection.execute(_MOVE, {"sources": list(self._priorities)})
                    rows = connection.execute(_STATES).fetchall()
                self._states = {(source, api): ApiState(priority, demoted) for source, api, priority, demoted in rows}
                self._seen = now
            return self._states


def _apis(dataset: Dataset, source: Source) -> tuple[str, ...]:
    """The rows of source_state that speak of the data set, the more special first."""
    serving = source.servings.get(dataset.name)
    return (serving.api, "*") if serving else ("*",)
