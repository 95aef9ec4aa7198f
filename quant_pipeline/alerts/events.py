"""Alerts that an event tells of: a failed run, failed checks, a login that has expired; and their end, told once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg

from quant_pipeline.alerts import book
from quant_pipeline.alerts.evaluation import tell_recovery
from quant_pipeline.alerts.rules import Rule
from quant_pipeline.notify import outbox
from quant_pipeline.notify.messages import Message
from quant_pipeline.settings import Settings


def raised(
    connection: psycopg.Connection[Any],
    rule: Rule,
    subject: str,
    cause: str,
    *,
    key: str,
    message: Message,
    link: str | None = None,
) -> bool:
    """Opens the alert about the subject and enqueues the event's message, in the caller's transaction.

    False: this event was told before, or the rule is switched off. `link`: of the event, which opens no second alert by it.
    """
    book.take_turn(connection)
    kept = book.kept_rules(connection)[rule.name]
    if not kept.enabled:
        return False
    if link is None or not book.known_by(connection, rule, subject, link):
        book.see(connection, rule, kept.severity, {subject: cause}, link=link, told=True)
    return outbox.enqueue(connection, key, replace(message, severity=kept.severity))


def over(connection: psycopg.Connection[Any], rule: Rule, settings: Settings, about: Callable[[str], bool]) -> int:
    """Ends the rule's alerts about such subjects and tells that, in the caller's transaction; how many there were."""
    if not book.any_open(connection, rule):
        return 0
    book.take_turn(connection)
    ended = book.resolve(connection, rule, about)
    tell_recovery(connection, ended, settings)
    return len(ended)
