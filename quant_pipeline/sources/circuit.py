"""The circuit breaker of each (source, API): its state is one row of `source_state`, the same for all processes.

closed: calls go through; `trip` failures in a row open it · open: calls are refused for `cool_down` seconds, without being
made · half_open: one call (the probe) may try; its success closes the circuit, its failure opens it again.
pybreaker was looked at: it holds its lock for as long as a call lasts, and its state machine is not atomic over processes.
"""

from __future__ import annotations

from typing import Any

import psycopg

from quant_pipeline.language import marked, told
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.policy import RatePolicy

CLOSED = "closed"
_FAILURES = frozenset({FailureClass.RETRYABLE.value, FailureClass.UNREACHABLE.value, FailureClass.BANNED.value})
"""What counts: the source did not answer. A quota, an empty answer, a missing right are answers."""
_NO_NET = 60.0
"""Seconds: the longest rest of what could not be reached. A site that bans is left alone for long; a network comes back."""

_FAILED = """
WITH counted AS (
    UPDATE source_state SET failures = failures + 1
    WHERE source = %(source)s AND api = %(api)s RETURNING failures, circuit
), opened AS (
    SELECT failures FROM counted
    WHERE circuit = 'half_open' OR (circuit = 'closed' AND failures >= %(trip)s)
), noted AS (
    INSERT INTO source_events (source, api, kind, reason)
    SELECT %(source)s, %(api)s, 'circuit_opened', failures || ' failed calls in a row: ' || %(reason)s FROM opened
)
SELECT count(*) FROM opened
"""
# A second statement: the row that a WITH has updated cannot be updated in it again.
_OPEN = """
UPDATE source_state
SET circuit = 'open', probe = NULL, retry_at = clock_timestamp() + make_interval(secs => %(cool_down)s), reason = %(reason)s
WHERE source = %(source)s AND api = %(api)s
"""
_SUCCEEDED = """
WITH former AS (
    SELECT circuit FROM source_state WHERE source = %(source)s AND api = %(api)s FOR UPDATE
), mended AS (
    UPDATE source_state SET circuit = 'closed', failures = 0, probe = NULL, retry_at = NULL
    FROM former
    WHERE source = %(source)s AND api = %(api)s AND (failures > 0 OR former.circuit <> 'closed')
    RETURNING former.circuit
)
INSERT INTO source_events (source, api, kind, reason)
SELECT %(source)s, %(api)s, 'circuit_closed', 'a call went through' FROM mended WHERE circuit <> 'closed'
"""
_CLEAN = """
SELECT FROM source_state WHERE source = %(source)s AND api = %(api)s AND failures = 0 AND circuit = 'closed'
"""


def refusal(source: str, api: str, wait: float, reason: str | None) -> SourceError:
    """What a caller gets while the circuit is open."""
    text = told(
        "left alone for {seconds:.0f} s more after repeated failures ({reason})",
        seconds=wait,
        reason=reason or marked("no reason kept"),
    )
    return SourceError(FailureClass.CIRCUIT_OPEN, source, api, text, wait=wait)


def note(connection: psycopg.Connection[Any], source: str, api: str, policy: RatePolicy, outcome: str, reason: str) -> None:
    """Counts a call's outcome, in the caller's transaction: opens the circuit, or closes it."""
    values = {"source": source, "api": api, "reason": reason}
    if outcome in _FAILURES:
        row = connection.execute(_FAILED, values | {"trip": policy.trip}).fetchone()
        if row and row[0]:
            longest = _NO_NET if outcome == FailureClass.UNREACHABLE else policy.cool_down
            connection.execute(_OPEN, values | {"cool_down": min(policy.cool_down, longest)})
    elif outcome != "broken_off" and connection.execute(_CLEAN, values).fetchone() is None:
        connection.execute(_SUCCEEDED, values)
