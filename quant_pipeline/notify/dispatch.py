"""Which way each message goes: its deliveries are made, repetitions and backlogs are folded, and what cannot go one way is
passed on to the next.

All of it is the database's work alone, under one lock for all processes: no service is waited for, and no transaction of
an event has part in it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from quant_pipeline.language import marked
from quant_pipeline.notify import digests
from quant_pipeline.notify.channels.contract import Channel, Limits
from quant_pipeline.notify.routing import Routes
from quant_pipeline.notify.severity import Severity

SAME_AN_HOUR = 3
"""How often the same alert is told in an hour; further ones are folded."""
_BACKLOG_MINUTES = 10
"""Where it takes longer than that to send what waits, it is folded, but for the first minute's: the hits of all screens of a
day are no flood."""
_UNLIMITED = 20
"""Messages a minute that a person can take in, over a channel that sets no limit."""
_BATCH = 1_000
_LOCK = 0x51504C4E  # "QPLN"
_NO_ROUTE = marked("no route takes it: nobody is told")
_NO_WAY = marked("no channel is left that could take it")

_logger = logging.getLogger(__name__)

_TURN = "SELECT pg_advisory_xact_lock(%s)"
_UNROUTED = """
SELECT id, severity, kind, topic, title FROM messages WHERE routed_at IS NULL ORDER BY id LIMIT %s
"""
_TOLD = """
SELECT receiver, topic, count(DISTINCT message) FROM deliveries JOIN messages ON messages.id = message
WHERE topic = ANY(%s) AND messages.created_at > clock_timestamp() - %s AND folded_into IS NULL GROUP BY 1, 2
"""
_DELIVERY = """
INSERT INTO deliveries (message, receiver, channel, urgency, state, folded_into, not_before)
VALUES (%s, %s, %s, %s, CASE WHEN %s::bigint IS NULL THEN 'waiting' ELSE 'folded' END, %s, clock_timestamp() + %s)
"""
_ROUTED = "UPDATE messages SET routed_at = clock_timestamp() WHERE id = ANY(%s)"
_UNTOLD = "UPDATE messages SET status = 'logged', error = %s WHERE id = ANY(%s)"
_BACKLOGS = """
SELECT receiver, channel, urgency, count(*) FROM deliveries
WHERE state = 'waiting' AND attempts = 0 AND not_before <= clock_timestamp() GROUP BY 1, 2, 3
"""
_FOLD = """
UPDATE deliveries SET state = 'folded', folded_into = %(digest)s WHERE id IN (
    SELECT deliveries.id FROM deliveries JOIN messages ON messages.id = message
    WHERE receiver = %(receiver)s AND channel = %(channel)s AND urgency = %(urgency)s AND state = 'waiting'
      AND attempts = 0 AND not_before <= clock_timestamp() AND kind <> 'digest'
    ORDER BY message OFFSET %(kept)s FOR UPDATE OF deliveries SKIP LOCKED
) RETURNING message
"""
_AT_ONCE = "UPDATE deliveries SET not_before = clock_timestamp() WHERE message = %s AND state = 'waiting'"
_STUCK = """
SELECT deliveries.id, message, receiver, channel, severity, kind, not_before,
       ARRAY(SELECT channel FROM deliveries AS tried WHERE tried.message = deliveries.message
             AND tried.receiver = deliveries.receiver)
FROM deliveries JOIN messages ON messages.id = message
WHERE state = 'waiting' AND (channel = ANY(%(shut)s) OR channel = ANY(%(weary)s) AND urgency = 0
                             OR NOT channel = ANY(%(known)s))
ORDER BY message FOR UPDATE OF deliveries SKIP LOCKED
"""
_ONE = """
SELECT deliveries.id, message, receiver, channel, severity, kind, not_before,
       ARRAY(SELECT channel FROM deliveries AS tried WHERE tried.message = deliveries.message
             AND tried.receiver = deliveries.receiver)
FROM deliveries JOIN messages ON messages.id = message WHERE deliveries.id = %s
"""
_PASSED = """
UPDATE deliveries SET state = 'passed_on',
       error = coalesce(%s, error, (SELECT reason FROM channel_state WHERE account = channel))
WHERE id = %s
"""
_FAILED = "UPDATE deliveries SET state = 'failed', error = coalesce(%s, error) WHERE id = %s"
_NEXT = """
INSERT INTO deliveries (message, receiver, channel, urgency, state, not_before) VALUES (%s, %s, %s, %s, 'waiting', %s)
"""
_SUMMARISE = """
UPDATE messages SET status = found.status, error = found.error FROM (
    SELECT message,
           CASE WHEN bool_or(state = 'waiting') THEN 'pending' WHEN bool_or(state = 'failed') THEN 'failed'
                WHEN bool_or(state = 'accepted') THEN 'accepted' WHEN bool_or(state = 'delivered') THEN 'delivered'
                ELSE 'folded' END AS status,
           (array_agg(error ORDER BY id DESC) FILTER (WHERE state IN ('waiting', 'failed', 'accepted')))[1] AS error
    FROM deliveries WHERE message = ANY(%s) GROUP BY message
) AS found WHERE messages.id = found.message
"""


def route(connection: psycopg.Connection[Any], routes: Routes) -> None:
    """Makes the deliveries of every message that has none: a row for each receiver, over the first of his channels.

    The same alert (topic) is told a receiver `SAME_AN_HOUR` times an hour; further ones are folded into his digest.
    """
    while True:
        with connection.transaction():
            connection.execute(_TURN, (_LOCK,))
            messages = connection.execute(_UNROUTED, (_BATCH,)).fetchall()
            if messages:
                _route(connection, routes, messages)
        if len(messages) < _BATCH:
            return


def _route(connection: psycopg.Connection[Any], routes: Routes, messages: Sequence[tuple[Any, ...]]) -> None:
    topics = list({topic for _, _, _, topic, _ in messages if topic})
    rows = connection.execute(_TOLD, (topics, digests.WINDOW)).fetchall() if topics else []
    told = {(receiver, topic): count for receiver, topic, count in rows}
    open_digests: dict[tuple[str, Severity], int] = {}
    deliveries: list[tuple[Any, ...]] = []
    untold = []
    for number, word, kind, topic, title in messages:
        severity, before = Severity(word), len(deliveries)
        for receiver in routes.receivers:
            channels, wait = _way(routes, receiver, kind, severity)
            if not channels:
                continue
            folded_into = None
            if topic:
                told[receiver, topic] = told.get((receiver, topic), 0) + 1
                if told[receiver, topic] > SAME_AN_HOUR:
                    if (receiver, severity) not in open_digests:
                        due = max(wait, digests.WINDOW)
                        open_digests[receiver, severity] = digests.opened(connection, receiver, severity, channels[0], due)
                    folded_into = open_digests[receiver, severity]
            deliveries.append((number, receiver, channels[0], severity.urgency, folded_into, folded_into, wait))
        if len(deliveries) == before:
            _logger.info("no route takes this message, so it is only logged: %s", title)
            untold.append(number)
    with connection.cursor() as cursor:
        cursor.executemany(_DELIVERY, deliveries)
    numbers = [number for number, *_ in messages]
    connection.execute(_ROUTED, (numbers,))
    connection.execute(_UNTOLD, (_NO_ROUTE, untold))
    summarise(connection, numbers)


def _way(routes: Routes, receiver: str, kind: str, severity: Severity) -> tuple[tuple[str, ...], dt.timedelta]:
    """The receiver's channels, and how long his message waits; what cannot be found out for one stops no other's message."""
    channels: tuple[str, ...] = ()
    try:
        channels = routes.channels(receiver, kind, severity)
        return channels, routes.waits(receiver, severity)
    except Exception as error:  # better at once than never
        _logger.error("what is set up for the receiver %s cannot be used: %s", receiver, type(error).__name__)
        return channels, dt.timedelta()


def fold_backlogs(connection: psycopg.Connection[Any], channels: Mapping[str, Channel]) -> None:
    """Where more waits than a channel takes in some minutes, all but the first go into a digest, which is sent after them."""
    with connection.transaction():
        connection.execute(_TURN, (_LOCK,))
        for receiver, channel, urgency, count in connection.execute(_BACKLOGS).fetchall():
            limits = channels[channel].limits if channel in channels else Limits()
            a_minute = min(limits.a_minute or _UNLIMITED, _UNLIMITED)
            if count <= a_minute * _BACKLOG_MINUTES:
                continue
            severity = list(Severity)[urgency]
            number = digests.opened(connection, receiver, severity, channel, dt.timedelta())
            values = {"digest": number, "receiver": receiver, "channel": channel, "urgency": urgency, "kept": a_minute}
            folded = [message for (message,) in connection.execute(_FOLD, values).fetchall()]
            connection.execute(_AT_ONCE, (number,))
            summarise(connection, folded)


def pass_on(
    connection: psycopg.Connection[Any], routes: Routes, known: Sequence[str], shut: Sequence[str], weary: Sequence[str]
) -> int:
    """Passes on what waits for channels that cannot take it now, each to the next that can; how many were passed on.

    `shut`: used up for the day, or their circuit is open · `weary`: they failed a moment ago, for which a critical message
    does not wait. What has no other channel stays where it is; but a channel that is no longer among the `known` leaves
    nothing behind.
    """
    cannot = {"shut": list(shut), "weary": list(weary), "known": list(known)}
    moved = 0
    with connection.transaction():
        connection.execute(_TURN, (_LOCK,))
        for row in connection.execute(_STUCK, cannot).fetchall():
            closed = {*shut, *(weary if row[4] == Severity.CRITICAL else ())}
            following = _following(routes, row, [name for name in known if name not in closed])
            if following is None and row[3] not in known:
                following = _following(routes, row, known)
            if following is not None or row[3] not in known:
                _leave(connection, row, following, None)
            moved += following is not None
    return moved


def give_up(
    connection: psycopg.Connection[Any],
    routes: Routes,
    delivery: int,
    known: Sequence[str],
    why: str,
    shut: Sequence[str] = (),
) -> bool:
    """This channel will never deliver it: it goes to the receiver's next one, first those that are not `shut`.

    False: there is none, it failed.
    """
    with connection.transaction():
        connection.execute(_TURN, (_LOCK,))
        ((row),) = connection.execute(_ONE, (delivery,)).fetchall()
        following = _following(routes, row, [name for name in known if name not in shut]) or _following(routes, row, known)
        _leave(connection, row, following, why)
        return following is not None


def _following(routes: Routes, row: tuple[Any, ...], usable: Sequence[str]) -> str | None:
    """The next of the receiver's channels that is usable and was not tried."""
    _, _, receiver, _, severity, kind, _, tried = row
    channels = routes.channels(receiver, kind, Severity(severity))
    return next((name for name in channels if name in usable and name not in tried), None)


def _leave(connection: psycopg.Connection[Any], row: tuple[Any, ...], following: str | None, why: str | None) -> None:
    """The delivery's channel is done with it: it goes on over the `following` one, or has failed."""
    number, message, receiver, _, severity, _, not_before, _ = row
    if following is not None:
        connection.execute(_PASSED, (why, number))
        connection.execute(_NEXT, (message, receiver, following, Severity(severity).urgency, not_before))
    else:
        connection.execute(_FAILED, (why or _NO_WAY, number))
    summarise(connection, [message])


def summarise(connection: psycopg.Connection[Any], messages: Sequence[int]) -> None:
    """Says of the messages what became of all their deliveries."""
    connection.execute(_SUMMARISE, (list(messages),))
