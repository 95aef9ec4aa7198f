"""The outbox: messages wait in the table `messages`, written with the event they tell of, until a channel has them.

Before a message is handed over it is claimed in a transaction of its own: its next attempt is put off as if this one
had failed, and the moment counts against the limits, for all processes. So a process that dies in between loses
nothing, and at most that one message is sent again. PushPlus's wish to be left alone for the day stands in
`source_state`, as every source's.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from quant_pipeline.language import told
from quant_pipeline.market import clock
from quant_pipeline.notify.channels.contract import Accepted, Channel, DeliveryState, Limits, Refused, Unknown
from quant_pipeline.notify.messages import Message
from quant_pipeline.sources.refusals import record_unknown
from quant_pipeline.warehouse.database import Database

_MINUTE = dt.timedelta(seconds=65)
"""A little more than a minute: PushPlus counts from a message's arrival, the table from its claim."""
_REOPENS = dt.time(0, 5)
"""When a day's limit is surely over, in exchange time."""
_PATIENCE = 1.0
"""Seconds for which PushPlus is asked again about messages just sent."""
_PAUSE = 0.2

_logger = logging.getLogger(__name__)

_ENQUEUE = """
INSERT INTO messages (dedupe_key, title, content, template, status) VALUES (%s, %s, %s, %s, 'pending')
ON CONFLICT (dedupe_key) DO NOTHING
"""
_INTRODUCE = "INSERT INTO source_state (source, api) VALUES ('pushplus', 'send') ON CONFLICT DO NOTHING"
# Its row is the lock: one claim at a time, or two processes would both find room below a limit.
_BLOCKED = """
SELECT coalesce(blocked_until > clock_timestamp(), false) FROM source_state
WHERE source = 'pushplus' AND api = 'send' FOR UPDATE
"""
_SPENT = """
SELECT coalesce(count(*) FILTER (WHERE sent_at > clock_timestamp() - %(minute)s) >= %(a_minute)s::int, false)
    OR coalesce(count(*) FILTER (WHERE sent_at > clock_timestamp() - %(today)s) >= %(a_day)s::int, false)
FROM messages
"""
_CLAIM = """
UPDATE messages
SET attempts = attempts + 1, sent_at = clock_timestamp(),
    next_attempt_at = clock_timestamp() + interval '1 minute' * least(60, 2 ^ least(attempts, 6))
WHERE id = (
    SELECT id FROM messages WHERE status = 'pending' AND next_attempt_at <= clock_timestamp()
    ORDER BY attempts > 0, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, title, content, template
"""
_ACCEPTED = """
UPDATE messages SET status = 'accepted', short_code = %s, error = NULL, next_attempt_at = clock_timestamp() WHERE id = %s
"""
_REFUSED = "UPDATE messages SET status = %s, error = %s WHERE id = %s"
_BLOCK = """
WITH blocked AS (
    UPDATE source_state SET blocked_until = clock_timestamp() + %(wait)s, reason = %(reason)s
    WHERE source = 'pushplus' AND api = 'send' RETURNING blocked_until
)
UPDATE messages SET next_attempt_at = blocked_until FROM blocked WHERE id = %(id)s
"""
_TO_ASK = """
SELECT id, short_code FROM messages
WHERE status = 'accepted' AND next_attempt_at <= clock_timestamp() AND sent_at > clock_timestamp() - interval '1 day'
ORDER BY id LIMIT 50
"""
_SETTLED = "UPDATE messages SET status = %s, error = %s WHERE id = %s AND status = 'accepted'"
# Asked again when it is twice as old.
_ASK_LATER = """
UPDATE messages
SET error = %s, next_attempt_at = clock_timestamp() + greatest(interval '10 seconds', clock_timestamp() - sent_at)
WHERE id = %s AND status = 'accepted'
"""
_LOGGED = """
UPDATE messages SET status = 'logged' WHERE id IN (SELECT id FROM messages WHERE status = 'pending' FOR UPDATE SKIP LOCKED)
RETURNING title, content
"""
_WAITING = "SELECT count(*) FROM messages WHERE status = 'pending'"
_FINAL = frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED})


@dataclass(frozen=True)
class Delivered:
    """What a call of `deliver` did, in messages; `waiting` are those that are still to be sent."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    waiting: int = 0
    logged: int = 0

    def __str__(self) -> str:
        counts = (
            ("已发送 sent", self.sent),
            ("已送达 delivered", self.delivered),
            ("失败 failed", self.failed),
            ("待发 waiting", self.waiting),
            ("仅写日志 logged", self.logged),
        )
        return " · ".join(f"{word} {count}" for word, count in counts if count) or "没有待发消息 nothing to send"


def enqueue(connection: psycopg.Connection[Any], dedupe_key: str, message: Message) -> bool:
    """Puts the message into the outbox, in the caller's transaction; False when this event was told before."""
    cursor = connection.execute(_ENQUEUE, (dedupe_key, message.title, message.content, message.template))
    return cursor.rowcount == 1


def deliver(database: Database, channel: Channel | None) -> Delivered:
    """Asks what became of accepted messages, sends those that are due within the channel's limits, asks about these too.

    Many processes may call it at once. Without a channel the messages are logged instead. What the service does never raises:
    it is recorded with the message, and tried again unless it is final. DatabaseError, psycopg.Error.
    """
    with database.connect(autocommit=True) as connection:
        if channel is None:
            return Delivered(logged=_log(connection))
        asked = _ask(connection, channel, dict(connection.execute(_TO_ASK).fetchall()), patience=0.0)
        receipts, refused = _send(connection, channel)
        asked += _ask(connection, channel, receipts, patience=_PATIENCE)
        return Delivered(
            sent=len(receipts),
            delivered=asked[DeliveryState.DELIVERED],
            failed=refused + asked[DeliveryState.FAILED],
            waiting=connection.execute(_WAITING).fetchall()[0][0],
        )


def _log(connection: psycopg.Connection[Any]) -> int:
    with connection.transaction():
        messages = connection.execute(_LOGGED).fetchall()
        for title, content in messages:
            _logger.info("no PUSHPLUS_TOKEN, so this message is only logged: %s\n%s", title, content)
    return len(messages)


def _send(connection: psycopg.Connection[Any], channel: Channel) -> tuple[dict[int, str | None], int]:
    """Sends what is due: the receipts of what was accepted, and how many were refused for good."""
    connection.execute(_INTRODUCE)
    receipts: dict[int, str | None] = {}
    refused = 0
    while claimed := _claim(connection, channel.limits):
        number, message = claimed
        (part,) = channel.parts(message)
        match channel.send(part):
            case Accepted(receipt):
                receipts[number] = receipt
                connection.execute(_ACCEPTED, (receipt, number))
                continue
            case Refused() as answer:
                final, reason = not answer.retryable, f"{_word(answer)}: {answer.text}"
                if answer.unfamiliar:
                    record_unknown(connection, "pushplus", "send", answer.text)
                if answer.for_the_day:
                    connection.execute(_BLOCK, {"wait": _until_it_reopens(), "reason": reason, "id": number})
            case Unknown(text):
                final, reason = False, f"unknown: {text}"
        _logger.warning("message %s was not sent: %s", number, reason)
        connection.execute(_REFUSED, ("failed" if final else "pending", reason, number))
        refused += final
        if not final:
            break  # the next message would fare no better
    return receipts, refused


def _word(refused: Refused) -> str:
    if refused.for_the_day:
        return "limited_for_the_day"
    return "retryable" if refused.retryable else "permanent"


def _claim(connection: psycopg.Connection[Any], limits: Limits) -> tuple[int, Message] | None:
    """The next message that is due, if the limits leave room for it. One that failed before lets the new ones go first."""
    now = clock.now()
    midnight = dt.datetime.combine(now.date(), dt.time(), clock.EXCHANGE_ZONE)
    counted = {"minute": _MINUTE, "a_minute": limits.a_minute, "today": now - midnight, "a_day": limits.a_day}
    with connection.transaction():
        if connection.execute(_BLOCKED).fetchall()[0][0] or connection.execute(_SPENT, counted).fetchall()[0][0]:
            return None
        row = connection.execute(_CLAIM).fetchone()
    if row is None:
        return None
    number, title, content, template = row
    return number, Message(title, content, template)


def _ask(
    connection: psycopg.Connection[Any], channel: Channel, receipts: Mapping[int, str | None], patience: float
) -> Counter[DeliveryState]:
    """Asks once, and again for `patience` seconds, what became of messages (number -> receipt)."""
    found: Counter[DeliveryState] = Counter()
    unsettled: dict[int, str | None] = {}
    deadline = time.monotonic() + patience
    queue = deque((number, receipt) for number, receipt in receipts.items() if channel.polls and receipt is not None)
    while queue:
        number, receipt = queue.popleft()
        if number in unsettled:
            time.sleep(_PAUSE)
        delivery = channel.poll(receipt)
        if not delivery.reached:
            _logger.warning("%s cannot be asked about its messages: %s", channel.name, delivery.reason)
            unsettled |= dict.fromkeys([number, *dict(queue)], delivery.reason)
            break
        if delivery.state in _FINAL:
            reason = (
                None
                if delivery.state is DeliveryState.DELIVERED
                else delivery.reason or told("{channel} gave no reason", channel=channel.name)
            )
            found[delivery.state] += connection.execute(_SETTLED, (delivery.state, reason, number)).rowcount
            unsettled.pop(number, None)
        else:
            unsettled[number] = delivery.reason or None
            if time.monotonic() < deadline:
                queue.append((number, receipt))
    for number, why in unsettled.items():
        connection.execute(_ASK_LATER, (why, number))
    return found


def _until_it_reopens() -> dt.timedelta:
    now = clock.now()
    return dt.datetime.combine(now.date() + dt.timedelta(days=1), _REOPENS, clock.EXCHANGE_ZONE) - now
