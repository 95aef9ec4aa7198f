"""The shared limiter: quotas belong to accounts, so all processes and machines draw from one place, PostgreSQL.

A call is *leased*: a row in `source_calls` from the moment it may start until its answer came. It counts against the
quota until one window after the answer, because the server may have counted it at any moment in between; so the server
can never count more than the quota in any window, however long a process was held up between lease and request.
The calls of a process that died count as answered when that is noticed.
The pace (per second, burst) is a GCRA whose state stands in `source_state`, where the source's own wish to wait and the
API's circuit (circuit.py) stand too: one locked row decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import tuple_row

from quant_pipeline.language import marked, told
from quant_pipeline.sources import circuit
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.refusals import record_unknown
from quant_pipeline.warehouse.presence import ALIVE, Presence

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

_LONGEST_NAP = 5.0

_KNOW = "INSERT INTO source_state (source, api) VALUES (%(source)s, %(api)s), (%(source)s, '*') ON CONFLICT DO NOTHING"
"""The row of api * is the source's own: what it holds, holds for all of its APIs."""
_LOCK = """
SELECT
    extract(epoch FROM greatest(state.blocked_until, whole.blocked_until) - clock_timestamp())::float8,
    extract(epoch FROM state.next_start - clock_timestamp())::float8,
    state.per_minute,
    CASE WHEN whole.blocked_until > clock_timestamp() THEN whole.reason ELSE state.reason END,
    state.circuit,
    coalesce(extract(epoch FROM state.retry_at - clock_timestamp())::float8, 0),
    EXISTS (SELECT FROM source_calls WHERE id = state.probe AND finished_at IS NULL)
FROM source_state AS state LEFT JOIN source_state AS whole ON whole.source = state.source AND whole.api = '*'
WHERE state.source = %(source)s AND state.api = %(api)s FOR UPDATE OF state
"""
_LOCK_SOURCE = "SELECT FROM source_state WHERE source = %(source)s AND api = '*' FOR UPDATE"
_UNDER_WAY = "SELECT count(*) FROM source_calls WHERE source = %(source)s AND finished_at IS NULL"
_COUNT = """
SELECT
    count(*) FILTER (WHERE finished_at IS NULL),
    count(*),
    extract(epoch FROM min(finished_at) + make_interval(secs => %(window)s) - clock_timestamp())::float8
FROM source_calls
WHERE source = %(source)s AND api = %(api)s
  AND (finished_at IS NULL OR finished_at > clock_timestamp() - make_interval(secs => %(window)s))
"""
_BURY = f"""
UPDATE source_calls SET finished_at = clock_timestamp(), outcome = 'died'
WHERE source = %(source)s AND finished_at IS NULL AND NOT {ALIVE}
"""
_LEASE = """
WITH paced AS (
    UPDATE source_state
    SET next_start = CASE WHEN %(interval)s > 0
        THEN greatest(next_start, clock_timestamp()) + make_interval(secs => %(interval)s) END
    WHERE source = %(source)s AND api = %(api)s
)
INSERT INTO source_calls (source, api, process, presence)
VALUES (%(source)s, %(api)s, %(process)s, %(presence)s) RETURNING id
"""
_RELEASE = """
UPDATE source_calls SET finished_at = clock_timestamp(), outcome = %(outcome)s, rows = %(rows)s WHERE id = %(id)s
"""
_PROBE = "UPDATE source_state SET circuit = 'half_open', probe = %(id)s WHERE source = %(source)s AND api = %(api)s"
_BLOCK = """
UPDATE source_state
SET blocked_until = greatest(blocked_until, clock_timestamp() + make_interval(secs => %(wait)s)),
    reason = %(reason)s,
    per_minute = coalesce(%(per_minute)s, per_minute)
WHERE source = %(source)s AND api = %(api)s
"""


@dataclass
class Lease:
    """A call that may start now; its caller notes how many rows came."""

    id: int
    rows: int = 0


class Limiter:
    """Leases calls to (source, api) under a RatePolicy, across every process that uses the database."""

    def __init__(
        self,
        pool: ConnectionPool[psycopg.Connection],
        presence: Presence,
        *,
        nap: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pool = pool
        self._presence = presence
        self._nap = nap
        self._turn: dict[tuple[str, str], threading.Lock] = {}
        self._turns = threading.Lock()

    @contextmanager
    def call(
        self, source: str, api: str, policy: RatePolicy, *, patience: float, stopped: threading.Event | None = None
    ) -> Iterator[Lease]:
        """Waits for a place, then holds it while the body makes the call.

        SourceError at once: RATE_LIMITED when the place is further away than `patience` seconds, CIRCUIT_OPEN when the API
        failed too often and is left alone. `stopped` ends the wait.
        A SourceError that the body raises is recorded as the call's outcome; RATE_LIMITED makes all processes wait,
        and words that nobody knows are kept.
        """
        lease = Lease(self._wait_for_place(source, api, policy, patience, stopped or threading.Event()))
        outcome, reason = "ok", ""
        try:
            yield lease
        except SourceError as error:
            outcome, reason = error.failure.value, error.text
            if error.unknown:
                with self._pool.connection() as connection:
                    record_unknown(connection, source, api, error.text)
            if error.failure is FailureClass.RATE_LIMITED:
                self._block(error)
            raise
        except BaseException:
            outcome = "broken_off"
            raise
        finally:
            with self._pool.connection() as connection:
                connection.execute(_RELEASE, {"outcome": outcome, "rows": lease.rows, "id": lease.id})
                circuit.note(connection, source, api, policy, outcome, reason)

    def record(self, calls: Sequence[int], outcome: str) -> None:
        """Gives finished calls another outcome than their own: what came was looked at afterwards."""
        with self._pool.connection() as connection:
            connection.execute("UPDATE source_calls SET outcome = %s WHERE id = ANY(%s)", (outcome, list(calls)))

    def _wait_for_place(self, source: str, api: str, policy: RatePolicy, patience: float, stopped: threading.Event) -> int:
        deadline = time.monotonic() + patience
        # One thread of a process asks at a time: the others would only queue up at the same database row.
        with self._turns:
            turn = self._turn.setdefault((source, api), threading.Lock())
        with turn:
            while True:
                if stopped.is_set():
                    raise SourceError(
                        FailureClass.RETRYABLE, source, api, marked("it was not asked any more: the sync was stopped")
                    )
                place, wait, why = self._ask(source, api, policy)
                if place is not None:
                    return place
                if wait and time.monotonic() + wait > deadline:
                    raise SourceError(FailureClass.RATE_LIMITED, source, api, why, wait=wait)
                self._nap(min(wait, _LONGEST_NAP))

    def _ask(self, source: str, api: str, policy: RatePolicy) -> tuple[int | None, float, str]:
        """A lease's id, or how long to wait and why. The row lock on source_state makes it one asker at a time."""
        who = {"source": source, "api": api}
        with self._pool.connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
            state = cursor.execute(_LOCK, who).fetchone()
            if state is None:
                cursor.execute(_KNOW, who)
                return None, 0.0, marked("this is the first call ever")
            blocked, ahead, named_quota, reason, circuit_state, retry_in, probing = state
            if circuit_state != circuit.CLOSED and (retry_in > 0 or probing):
                if probing:
                    cursor.execute(_BURY, who)
                    connection.commit()
                raise circuit.refusal(source, api, max(retry_in, 1.0), reason)
            if blocked is not None and blocked > 0:
                return None, blocked, told("the source asked to wait {seconds:.0f} s: {reason}", seconds=blocked, reason=reason)
            window = {"window": policy.minute}
            under_way, counted, oldest = cursor.execute(_COUNT, who | window).fetchone() or (0, 0, None)
            if policy.one_account:
                cursor.execute(_LOCK_SOURCE, who)
                (under_way,) = cursor.execute(_UNDER_WAY, who).fetchone() or (0,)
            if under_way >= policy.concurrency:
                cursor.execute(_BURY, who)
                return (
                    None,
                    0.02,
                    told("{count} calls are under way, the policy allows {most}", count=under_way, most=policy.concurrency),
                )
            quota = min((each for each in (policy.per_minute, named_quota) if each is not None), default=None)
            if quota is not None and counted >= quota:
                wait = max(oldest, 0.001) if oldest is not None else 0.02
                return (
                    None,
                    wait,
                    told("the quota of {count} calls in {seconds:.0f} s is used up", count=quota, seconds=policy.minute),
                )
            interval = 1.0 / policy.per_second if policy.per_second else 0.0
            head_start = (policy.burst - 1) * interval
            if interval and ahead is not None and ahead > head_start:
                return (
                    None,
                    ahead - head_start,
                    told("the pace of {count:g} calls a second is reached", count=policy.per_second),
                )
            me = {"process": self._presence.process, "presence": self._presence.id}
            lease = cursor.execute(_LEASE, who | me | {"interval": interval}).fetchone()
            assert lease is not None
            if circuit_state != circuit.CLOSED:
                cursor.execute(_PROBE, who | {"id": lease[0]})
            return int(lease[0]), 0.0, ""

    def _block(self, error: SourceError) -> None:
        values = {"wait": error.wait, "reason": error.text, "per_minute": error.per_minute}
        with self._pool.connection() as connection:
            connection.execute(_BLOCK, values | {"source": error.source, "api": error.api})
