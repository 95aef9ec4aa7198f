"""The tables `alert_rules` and `alerts`, and what is written into them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from quant_pipeline.alerts.rules import RULES, Rule
from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.notify.severity import Severity
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_LOCK = 0x51504C41  # "QPLA"
_SEED = "INSERT INTO alert_rules (rule, threshold, severity) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_KEPT = "SELECT rule, enabled, threshold, severity FROM alert_rules"
_CHANGE = """
UPDATE alert_rules SET enabled = coalesce(%(enabled)s, enabled), threshold = coalesce(%(threshold)s, threshold),
       severity = coalesce(%(severity)s, severity), changed_at = clock_timestamp(), changed_by = %(by)s
WHERE rule = %(rule)s
"""
_OPEN = "SELECT id, rule, subject FROM alerts WHERE resolved_at IS NULL AND rule = %s"
_BY_LINK = "SELECT FROM alerts WHERE rule = %s AND subject = %s AND link = %s"
_INSERT = """
INSERT INTO alerts (rule, subject, severity, cause, link, opened_at, seen_at, told_at)
VALUES (%(rule)s, %(subject)s, %(severity)s, %(cause)s, %(link)s, %(now)s, %(now)s, %(told)s)
"""
_SEE = """
UPDATE alerts SET severity = %(severity)s, cause = %(cause)s, link = coalesce(%(link)s, link), seen_at = %(now)s,
       told_at = coalesce(%(told)s, told_at) WHERE id = %(id)s
"""
_RESOLVE = "UPDATE alerts SET resolved_at = %s WHERE id = ANY(%s) RETURNING id, rule, subject, opened_at, told_at IS NOT NULL"
_ACKNOWLEDGE = """
UPDATE alerts SET acknowledged_at = coalesce(acknowledged_at, %(now)s), acknowledged_by = coalesce(acknowledged_by, %(by)s)
WHERE id = ANY(%(ids)s) RETURNING id
"""
_STATES = "SELECT id, resolved_at IS NOT NULL FROM alerts WHERE id = ANY(%s)"
_LISTED = """
SELECT id, rule, subject, severity, cause, link, opened_at, seen_at, told_at, acknowledged_at, acknowledged_by, resolved_at,
       CASE WHEN resolved_at IS NOT NULL THEN 'resolved' WHEN acknowledged_at IS NOT NULL THEN 'acknowledged' ELSE 'open' END
           AS state
FROM alerts WHERE %(all)s OR resolved_at IS NULL
ORDER BY resolved_at DESC NULLS FIRST, array_position(ARRAY['critical', 'warning', 'info'], severity), id DESC
LIMIT %(limit)s OFFSET %(offset)s
"""
_COUNTED = "SELECT count(*) AS total FROM alerts WHERE %(all)s OR resolved_at IS NULL"
_RULES = """
SELECT rule, enabled, threshold, severity, changed_by, CASE WHEN changed_by IS NOT NULL THEN changed_at END AS changed_at,
       (SELECT count(*) FROM alerts WHERE alerts.rule = alert_rules.rule AND resolved_at IS NULL) AS open
FROM alert_rules WHERE rule = ANY(%(rules)s) ORDER BY array_position(%(rules)s, rule)
"""


class AlertError(ValueError):
    """A wish that cannot be met; nothing was changed, and the text says what can be."""


@dataclass(frozen=True)
class Kept:
    """A rule as it stands in the table."""

    enabled: bool
    threshold: float
    severity: Severity


@dataclass(frozen=True)
class Resolved:
    """An alert that is over; `told`: somebody was told that it had begun."""

    id: int
    rule: str
    subject: str
    opened_at: dt.datetime
    told: bool


def take_turn(connection: psycopg.Connection[Any]) -> None:
    """One process at a time writes alerts, for the rest of its transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def kept_rules(connection: psycopg.Connection[Any]) -> dict[str, Kept]:
    """The rules as they are set, seeded where they are not there yet."""
    with connection.cursor() as cursor:
        cursor.executemany(_SEED, [(rule.name, rule.threshold, rule.severity) for rule in RULES.values()])
    rows = connection.execute(_KEPT).fetchall()
    return {name: Kept(enabled, threshold or 0.0, Severity(severity)) for name, enabled, threshold, severity in rows}


def see(
    connection: psycopg.Connection[Any],
    rule: Rule,
    severity: Severity,
    causes: Mapping[str, str],
    *,
    link: str | None = None,
    told: bool = False,
) -> None:
    """Opens an alert for each cause (subject -> why), or renews the open one. `told`: the event's own message tells of it."""
    now = clock.now()
    known = {subject: number for number, _, subject in connection.execute(_OPEN, (rule.name,)).fetchall()}
    for subject, cause in causes.items():
        values = {"rule": rule.name, "subject": subject, "severity": severity, "cause": cause, "link": link, "now": now}
        values |= {"told": now if told else None, "id": known.get(subject)}
        connection.execute(_SEE if subject in known else _INSERT, values)


def known_by(connection: psycopg.Connection[Any], rule: Rule, subject: str, link: str) -> bool:
    """Whether there is an alert of that event, be it open or over."""
    return connection.execute(_BY_LINK, (rule.name, subject, link)).fetchone() is not None


def any_open(connection: psycopg.Connection[Any], rule: Rule) -> bool:
    """Whether an alert of the rule is open."""
    return connection.execute(_OPEN, (rule.name,)).fetchone() is not None


def resolve(connection: psycopg.Connection[Any], rule: Rule, over: Callable[[str], bool]) -> list[Resolved]:
    """Ends the rule's open alerts about subjects that are `over`."""
    gone = [number for number, _, subject in connection.execute(_OPEN, (rule.name,)).fetchall() if over(subject)]
    return [Resolved(*row) for row in connection.execute(_RESOLVE, (clock.now(), gone)).fetchall()]


def acknowledge(database: Database, numbers: Sequence[int], by: str) -> None:
    """Somebody knows of these alerts: they are told no more. AlertError names those that are not open."""
    with database.connect() as connection:
        take_turn(connection)
        states = dict(connection.execute(_STATES, (list(numbers),)).fetchall())
        unknown = [number for number in numbers if number not in states]
        if unknown:
            text = say("there is no alert {numbers}; see `quant-pipeline alerts list`", numbers=_listed(unknown))
            raise AlertError(text)
        if over := [number for number in numbers if states[number]]:
            raise AlertError(say("alert {numbers} is over already", numbers=_listed(over)))
        connection.execute(_ACKNOWLEDGE, {"now": clock.now(), "by": by, "ids": list(numbers)})


def change_rule(
    database: Database,
    name: str,
    *,
    by: str,
    enabled: bool | None = None,
    threshold: float | None = None,
    severity: Severity | None = None,
) -> None:
    """Sets what is not None. AlertError where there is no such rule, it has no threshold, or not that one."""
    rule = known_rule(name)
    if threshold is not None and rule.threshold is None:
        raise AlertError(say("{rule} has no threshold", rule=name))
    if threshold is not None and not (0 < threshold < float("inf") and threshold <= (rule.most or threshold)):
        if rule.most is not None:
            text = say("the threshold of {rule} is a number above 0 and at most {most:g} %", rule=name, most=rule.most)
        else:
            text = say("the threshold of {rule} is a number above 0", rule=name)
        raise AlertError(say("{text}; to look no more: `quant-pipeline alerts rules {rule} --off`", text=text, rule=name))
    with database.connect() as connection:
        kept_rules(connection)
        connection.execute(_CHANGE, {"enabled": enabled, "threshold": threshold, "severity": severity, "by": by, "rule": name})


def known_rule(name: str) -> Rule:
    """The rule of that name. AlertError names those that there are."""
    if name not in RULES:
        raise AlertError(say("there is no rule {name!r}; there are {known}", name=name, known=", ".join(RULES)))
    return RULES[name]


def alerts(database: Database, *, everything: bool = False, limit: int = 1_000, offset: int = 0) -> pl.DataFrame:
    """The open alerts, the gravest first; `everything`: after them those that are over, the last ones first.

    id, rule, subject, severity, cause, link, opened_at, seen_at, told_at, acknowledged_at, acknowledged_by, resolved_at,
    state (open, acknowledged, resolved).
    """
    rows = read_sql(database, _LISTED, {"all": everything, "limit": limit, "offset": offset})
    return rows.with_columns(pl.selectors.datetime().dt.convert_time_zone(str(clock.EXCHANGE_ZONE)))


def count(database: Database, *, everything: bool = False) -> int:
    """How many `alerts` there are."""
    return int(read_sql(database, _COUNTED, {"all": everything}).item())


def rules(database: Database) -> pl.DataFrame:
    """rule, enabled, threshold, severity, changed_by, changed_at, open (how many alerts of it are), title, doc, unit."""
    with database.connect() as connection:
        kept_rules(connection)
    rows = read_sql(database, _RULES, {"rules": list(RULES)})
    known = [RULES[name] for name in rows["rule"]]
    return rows.with_columns(
        pl.Series("title", [rule.title for rule in known], pl.String),
        pl.Series("doc", [rule.doc for rule in known], pl.String),
        pl.Series("unit", [rule.unit for rule in known], pl.String),
    )


def _listed(numbers: Collection[int]) -> str:
    return ", ".join(map(str, numbers))
