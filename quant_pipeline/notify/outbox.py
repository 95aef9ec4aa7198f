"""The outbox: a message is written with the event that it tells of, and sent later, within PushPlus's limits.

It lives in the table `messages`; PushPlus's wish to be left alone for the day stands in `source_state`, as every source's.
pending -> accepted -> delivered | failed, or pending -> failed (refused for good), or pending -> logged (no token).
An attempt is recorded before the call and its outcome right after it: a message whose outcome is unknown (the process
died in the call, the answer was lost) waits for its next turn and is then sent again: rather twice than never.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.pushplus import Limited, PushPlus, PushPlusError, Retryable, State
from quant_pipeline.warehouse.database import Database

A_MINUTE = 5
A_DAY = 200
_MOST_ATTEMPTS = 12
"""With waits of 1, 2, 4 … minutes, at most 6 hours, that is most of a day."""
_ASKED_AT_ONCE = 20

_logger = logging.getLogger(__name__)

_ENQUEUE = """
INSERT INTO messages (dedupe_key, title, content, template, status)
VALUES (%s, %s, %s, %s, 'pending') ON CONFLICT (dedupe_key) DO NOTHING RETURNING id
"""
_LOG = """
UPDATE messages SET status = 'logged', sent_at = clock_timestamp() WHERE status = 'pending' RETURNING title, content
"""
_KNOW = "INSERT INTO source_state (source, api) VALUES ('pushplus', 'send') ON CONFLICT DO NOTHING"
_LOCK = """
SELECT coalesce(blocked_until > clock_timestamp(), false)
FROM source_state WHERE source = 'pushplus' AND api = 'send' FOR UPDATE
"""
# A little more than a minute: the calls' way to PushPlus does not always take the same time.
_SPENT = """
SELECT
    count(*) FILTER (WHERE sent_at > clock_timestamp() - interval '65 seconds'),
    coalesce(sum(attempts) FILTER (
        WHERE sent_at >= date_trunc('day', clock_timestamp(), 'Asia/Shanghai')), 0)
FROM messages WHERE attempts > 0 AND sent_at > clock_timestamp() - interval '1 day'
"""
_CLAIM = """
UPDATE messages
SET attempts = attempts + 1,
    sent_at = clock_timestamp(),
    next_attempt_at = clock_timestamp() + least(interval '1 minute' * power(2, attempts), interval '6 hours')
WHERE id = (
    SELECT id FROM messages WHERE status = 'pending' AND next_attempt_at <= clock_timestamp()
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, attempts, title, content, template
"""
_ACCEPTED = """
UPDATE messages SET status = 'accepted', short_code = %s, error = NULL, next_attempt_at = clock_timestamp() WHERE id = %s
"""
_REFUSED = "UPDATE messages SET status = %s, error = %s WHERE id = %s"
_STOP_FOR_THE_DAY = """
WITH midnight AS (
    UPDATE source_state
    SET blocked_until = date_trunc('day', clock_timestamp(), 'Asia/Shanghai') + interval '1 day', reason = %(reason)s
    WHERE source = 'pushplus' AND api = 'send' RETURNING blocked_until
)
UPDATE messages SET error = %(reason)s, next_attempt_at = blocked_until FROM midnight WHERE id = %(id)s
"""
# Asked again after as long as it has waited, for a day.
_ASK = """
UPDATE messages
SET next_attempt_at = clock_timestamp() + greatest(clock_timestamp() - sent_at, interval '1 second')
WHERE id IN (
    SELECT id FROM messages WHERE status = 'accepted' AND next_attempt_at <= clock_timestamp()
    AND sent_at > clock_timestamp() - interval '1 day' ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id, short_code
"""
_DELIVERED = "UPDATE messages SET status = %s, error = %s WHERE id = %s AND status = 'accepted'"
_WAITING = "SELECT count(*) FROM messages WHERE status = 'pending'"


@dataclass
class Delivered:
    """What one round did: messages accepted by PushPlus, found delivered, given up, logged; and how many still wait."""

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    logged: int = 0
    waiting: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in vars(self).items() if count) or "nothing to send"


def enqueue(connection: psycopg.Connection[Any], dedupe_key: str, message: Message) -> bool:
    """Puts a message into the outbox in the caller's transaction; False when that event was told before."""
    values = (dedupe_key, message.title, message.content, message.template)
    return connection.execute(_ENQUEUE, values).fetchone() is not None


def deliver(database: Database, client: PushPlus | None) -> Delivered:
    """Sends what is due, and asks what became of what was accepted. Never raises for PushPlus's sake.

    At most 5 a minute and 200 a day, over all processes of the database. Without a client (no token) every waiting
    message is logged instead.
    """
    done = Delivered()
    with database.connect(autocommit=True) as connection:
        if client is None:
            _log(connection, done)
        else:
            _send(connection, client, done)
            _check_delivery(connection, client, done)
        done.waiting = _one(connection, _WAITING)[0]
    return done


def _log(connection: psycopg.Connection[Any], done: Delivered) -> None:
    for title, content in connection.execute(_LOG).fetchall():
        _logger.info("No PUSHPLUS_TOKEN, so this message is only logged: %s\n%s", title, content)
        done.logged += 1


def _send(connection: psycopg.Connection[Any], client: PushPlus, done: Delivered) -> None:
    connection.execute(_KNOW)
    while (claimed := _claim(connection)) is not None:
        number, attempts, title, content, template = claimed
        try:
            short_code = client.send(title, content, template)
        except Limited as error:
            connection.execute(_STOP_FOR_THE_DAY, {"reason": str(error), "id": number})
            _logger.warning("No more messages today: %s", error)
        except PushPlusError as error:
            again = isinstance(error, Retryable) and attempts < _MOST_ATTEMPTS
            connection.execute(_REFUSED, ("pending" if again else "failed", str(error), number))
            _logger.warning("Message %r was not sent%s: %s", title, ", later again" if again else "", error)
            done.failed += not again
        else:
            connection.execute(_ACCEPTED, (short_code, number))
            done.accepted += 1


def _claim(connection: psycopg.Connection[Any]) -> tuple[Any, ...] | None:
    """The next message due, marked as being sent; None when nothing is due or PushPlus's limits are reached."""
    with connection.transaction():
        if _one(connection, _LOCK)[0]:
            return None
        last_minute, today = _one(connection, _SPENT)
        if last_minute >= A_MINUTE or today >= A_DAY:
            return None
        return connection.execute(_CLAIM).fetchone()


def _check_delivery(connection: psycopg.Connection[Any], client: PushPlus, done: Delivered) -> None:
    if not client.tells_delivery:
        return
    for number, short_code in connection.execute(_ASK, (_ASKED_AT_ONCE,)).fetchall():
        try:
            delivery = client.delivery(short_code)
        except PushPlusError as error:
            _logger.warning("PushPlus does not tell what became of its messages: %s", error)
            return
        if delivery.state is State.SENT:
            done.delivered += connection.execute(_DELIVERED, ("delivered", None, number)).rowcount
        elif delivery.state is State.FAILED:
            reason = delivery.error or "PushPlus could not deliver it"
            done.failed += connection.execute(_DELIVERED, ("failed", reason, number)).rowcount


def _one(connection: psycopg.Connection[Any], query: LiteralString) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query).fetchone()
    assert row is not None
    return row
