"""What became of messages that a service accepted: asked at once, and again when they are twice as old, for a day."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from quant_pipeline.language import marked
from quant_pipeline.notify import dispatch
from quant_pipeline.notify.channels.contract import Channel, Delivery, DeliveryState
from quant_pipeline.notify.handing_over import ask_about
from quant_pipeline.notify.routing import Routes

PATIENCE = 1.0
"""Seconds for which a service is asked again about messages just sent."""
_PAUSE = 0.2
_ASKED_FOR = dt.timedelta(days=1)
_NO_REASON = marked("it gave no reason")

_logger = logging.getLogger(__name__)

_DUE = """
SELECT id, message, channel, receipts FROM deliveries
WHERE state = 'accepted' AND channel = ANY(%(channels)s) AND receipts <> '{}' AND sent_at > clock_timestamp() - %(asked_for)s
  AND (%(all)s OR ask_at <= clock_timestamp()) AND (%(only)s::bigint[] IS NULL OR id = ANY(%(only)s))
ORDER BY id LIMIT 50
"""
_DELIVERED = "UPDATE deliveries SET state = 'delivered', error = NULL WHERE id = %s AND state = 'accepted' RETURNING id"
_LATER = """
UPDATE deliveries
SET error = %s, ask_at = clock_timestamp() + greatest(interval '10 seconds', clock_timestamp() - sent_at)
WHERE id = %s AND state = 'accepted'
"""
_FINAL = frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED})


@dataclass(frozen=True)
class _Question:
    delivery: int
    message: int
    channel: Channel
    receipts: Sequence[str]


def ask(
    connection: psycopg.Connection[Any],
    routes: Routes,
    channels: Mapping[str, Channel],
    only: Collection[int] | None = None,
    *,
    patience: float = 0.0,
) -> Counter[str]:
    """Asks about what is due (`only`: about these deliveries, for `patience` seconds): delivered, failed, passed_on.

    What a channel says it could not deliver goes to the receiver's next one.
    """
    values = {
        "channels": [name for name, channel in channels.items() if channel.polls],
        "asked_for": _ASKED_FOR,
        "all": only is not None,
        "only": None if only is None else list(only),
    }
    found: Counter[str] = Counter()
    unsettled: dict[int, str] = {}
    silent: set[str] = set()
    deadline = time.monotonic() + patience
    rows = connection.execute(_DUE, values).fetchall()
    queue = deque(_Question(number, message, channels[channel], receipts) for number, message, channel, receipts in rows)
    messages = {each.delivery: each.message for each in queue}
    while queue:
        question = queue.popleft()
        if question.channel.name in silent:
            unsettled.setdefault(question.delivery, "")
            continue
        if question.delivery in unsettled:
            time.sleep(_PAUSE)
        answer = _of_all_parts(question)
        if not answer.reached:
            _logger.warning("%s cannot be asked about its messages: %s", question.channel.name, answer.reason)
            silent.add(question.channel.name)
            unsettled |= dict.fromkeys(
                (each.delivery for each in (question, *queue) if each.channel is question.channel), answer.reason
            )
        elif answer.state in _FINAL:
            unsettled.pop(question.delivery, None)
            found[_settle(connection, routes, channels, question, answer)] += 1
        else:
            unsettled[question.delivery] = answer.reason
            if time.monotonic() < deadline:
                queue.append(question)
    for number, why in unsettled.items():
        connection.execute(_LATER, (why or None, number))
        dispatch.summarise(connection, [messages[number]])
    return found


def _of_all_parts(question: _Question) -> Delivery:
    """The worst of the message's parts."""
    answers = []
    for receipt in question.receipts:
        answer = ask_about(question.channel, receipt)
        if answer.state is not DeliveryState.DELIVERED:
            return answer
        answers.append(answer)
    return answers[-1]


def _settle(
    connection: psycopg.Connection[Any],
    routes: Routes,
    channels: Mapping[str, Channel],
    question: _Question,
    answer: Delivery,
) -> str:
    if answer.state is DeliveryState.DELIVERED:
        connection.execute(_DELIVERED, (question.delivery,))
        dispatch.summarise(connection, [question.message])
        return "delivered"
    passed_on = dispatch.give_up(connection, routes, question.delivery, list(channels), answer.reason or _NO_REASON)
    return "passed_on" if passed_on else "failed"
