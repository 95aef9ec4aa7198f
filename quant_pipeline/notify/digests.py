"""Digests: what would be too many messages, told in one. A receiver has at most one open digest for each severity.

It is written when its turn comes, of all that was folded into it until then.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

from quant_pipeline.notify.messages import digest
from quant_pipeline.notify.severity import Severity

KIND = "digest"
WINDOW = dt.timedelta(hours=1)
"""How long repetitions are gathered."""

# The row is locked: whoever claims it waits, and finds all that was folded into it.
_OPEN = """
SELECT message FROM deliveries JOIN messages ON messages.id = message
WHERE kind = 'digest' AND receiver = %s AND urgency = %s AND state = 'waiting' AND attempts = 0
ORDER BY message DESC LIMIT 1 FOR UPDATE OF deliveries
"""
_BEGIN = """
WITH made AS (
    INSERT INTO messages (dedupe_key, severity, kind, title, content, template, status, routed_at)
    VALUES ('digest:' || gen_random_uuid(), %(severity)s, 'digest', '', '', 'markdown', 'pending', clock_timestamp())
    RETURNING id
)
INSERT INTO deliveries (message, receiver, channel, urgency, state, not_before)
SELECT id, %(receiver)s, %(channel)s, %(urgency)s, 'waiting', clock_timestamp() + %(wait)s FROM made RETURNING message
"""
_FOLDED = """
SELECT coalesce(topic, title), (array_agg(title ORDER BY messages.id DESC))[1], count(*),
       min(messages.created_at), max(messages.created_at)
FROM deliveries JOIN messages ON messages.id = message
WHERE folded_into = %s GROUP BY 1 ORDER BY min(messages.id)
"""
_WRITE = "UPDATE messages SET title = %s, content = %s WHERE id = %s"


def opened(connection: psycopg.Connection[Any], receiver: str, severity: Severity, channel: str, wait: dt.timedelta) -> int:
    """The number of the receiver's open digest; one is begun where there is none, to be sent over `channel` after `wait`."""
    found = connection.execute(_OPEN, (receiver, severity.urgency)).fetchone()
    if found is None:
        values = {"receiver": receiver, "severity": severity, "channel": channel, "urgency": severity.urgency, "wait": wait}
        found = connection.execute(_BEGIN, values).fetchone()
    assert found is not None
    return int(found[0])


def write(connection: psycopg.Connection[Any], number: int) -> None:
    """Writes the digest's text, of all that is folded into it now."""
    rows = connection.execute(_FOLDED, (number,)).fetchall()
    message = digest(folded=[(title, count, first, last) for _, title, count, first, last in rows])
    connection.execute(_WRITE, (message.title, message.content, number))
