"""Looks at every rule: opens alerts, ends those whose cause is gone, and tells both, each once."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from quant_pipeline.alerts import book
from quant_pipeline.alerts.rules import REMINDER, RETURNED, RULES, Sight
from quant_pipeline.language import of_messages, say, speaking
from quant_pipeline.market import clock
from quant_pipeline.notify import outbox
from quant_pipeline.notify.messages import alerts_raised, recovered
from quant_pipeline.notify.severity import Severity
from quant_pipeline.retelling import retold
from quant_pipeline.settings import Settings

_logger = logging.getLogger(__name__)

# What lasts is told once, and again after a day unless somebody acknowledged it; what comes and goes, once an hour.
_UNTOLD = """
SELECT id, rule, subject, cause, severity, (SELECT threshold FROM alert_rules WHERE alert_rules.rule = alert.rule)
FROM alerts AS alert
WHERE resolved_at IS NULL AND acknowledged_at IS NULL AND CASE WHEN told_at IS NULL THEN NOT EXISTS (
    SELECT FROM alerts AS former WHERE former.rule = alert.rule AND former.subject = alert.subject
    AND former.told_at > %(now)s - %(returned)s
) ELSE told_at <= %(now)s - %(reminder)s END AND rule = ANY(%(rules)s)
ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity), id
"""
_TOLD = "UPDATE alerts SET told_at = %s WHERE id = ANY(%s)"
_STANDING = "SELECT count(*) FROM alerts WHERE resolved_at IS NULL"


@dataclass(frozen=True)
class Evaluated:
    """How many alerts are open, were told now, and are over since the last look; `unseen`: rules that could not look."""

    open: int
    told: int
    over: int
    unseen: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = f"未恢复 open {self.open} · 新告警 told now {self.told} · 已恢复 over {self.over}"
        return words + (f" · 无法判断 could not look: {', '.join(self.unseen)}" if self.unseen else "")


def evaluate(sight: Sight) -> Evaluated:
    """Many processes may call it at once. A rule that cannot look leaves its alerts as they are."""
    over: list[book.Resolved] = []
    unseen = []
    with sight.database.connect() as connection, connection.transaction():
        book.take_turn(connection)
        for name, kept in book.kept_rules(connection).items():
            rule = RULES.get(name)
            if rule is None or not kept.enabled:
                if rule is not None:
                    book.resolve(connection, rule, lambda _: True)  # switched off: nobody wants to hear of it
                continue
            if rule.look is None:
                continue
            try:
                with speaking("en"):  # what is kept is shown to each reader in his language
                    causes = rule.look(sight, kept.threshold)
            except Exception as error:
                _logger.warning("the rule %s could not look: %s", name, error)
                unseen.append(name)
                continue
            book.see(connection, rule, kept.severity, causes)
            over += book.resolve(connection, rule, lambda subject, causes=causes: subject not in causes)  # type: ignore[misc]
        told = _tell(connection, sight.settings)
        tell_recovery(connection, over, sight.settings)
        ((standing,),) = connection.execute(_STANDING).fetchall()
    return Evaluated(standing, told, len(over), tuple(unseen))


def tell_recovery(connection: psycopg.Connection[Any], over: Sequence[book.Resolved], settings: Settings) -> None:
    """One message of all that is over, of those alerts of which somebody was told."""
    known = [each for each in over if each.told]
    if not known:
        return
    with speaking(of_messages()):
        shown = [(_shown(each.rule), each.subject, _moment(each.opened_at)) for each in known]
    message = recovered(alerts=shown, pages_url=settings.pages_url, sandbox=settings.sandboxed)
    outbox.enqueue(connection, f"recovered:{','.join(str(each.id) for each in known)}", message)


def _tell(connection: psycopg.Connection[Any], settings: Settings) -> int:
    """One message of all that is new or has lasted for a day; the gravest says how urgent it is."""
    now = clock.now()
    values = {"now": now, "returned": RETURNED, "reminder": REMINDER, "rules": list(RULES)}
    rows = connection.execute(_UNTOLD, values).fetchall()
    if not rows:
        return 0
    with speaking(of_messages()):
        shown = [(_shown(rule), subject, _passed(rule, cause, threshold)) for _, rule, subject, cause, _, threshold in rows]
    message = alerts_raised(
        alerts=shown, severity=Severity(rows[0][4]), pages_url=settings.pages_url, sandbox=settings.sandboxed
    )
    numbers = [number for number, *_ in rows]
    outbox.enqueue(connection, f"alerts:{now:%Y-%m-%dT%H:%M}:{','.join(map(str, numbers))}", message)
    connection.execute(_TOLD, (now, numbers))
    return len(rows)


def _shown(rule: str) -> str:
    return say(RULES[rule].title)


def _passed(rule: str, cause: str, threshold: float | None) -> str:
    """The cause, with the threshold that it has passed."""
    if threshold is None:
        return cause
    return say("{cause} (threshold: {threshold})", cause=retold(cause), threshold=RULES[rule].in_words(threshold))


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(clock.EXCHANGE_ZONE):%m-%d %H:%M}"
