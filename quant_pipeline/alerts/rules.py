"""The rules: what deserves an alert. One that looks finds its causes itself; the others are told by the event (events.py)."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from quant_pipeline.language import marked, say, told
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.notify.severity import Severity
from quant_pipeline.settings import Settings
from quant_pipeline.sources import registry
from quant_pipeline.sync.insight import health
from quant_pipeline.sync.insight.status import status_of
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.rows import Row

_GIGABYTE = 1e9
SCARCE = 5.0
"""Gigabytes: twenty years of the market take some ten, and an upgrade of PostgreSQL needs room beside them."""
_CALLED = "SELECT DISTINCT source FROM source_calls WHERE finished_at > now() - interval '1 hour'"
_OLDEST = """
SELECT channel, count(*), extract(epoch FROM clock_timestamp() - min(greatest(deliveries.created_at, not_before)))::float8 / 60,
       (array_agg(error ORDER BY id DESC) FILTER (WHERE error IS NOT NULL))[1]
FROM deliveries WHERE state = 'waiting' AND not_before <= clock_timestamp() GROUP BY channel
"""
_UNROUTED = """
SELECT count(*), extract(epoch FROM clock_timestamp() - min(created_at))::float8 / 60 FROM messages WHERE routed_at IS NULL
"""


@dataclass(frozen=True)
class Sight:
    """What rules look at; what several of them need is read once."""

    database: Database
    calendar: Calendar
    settings: Settings

    @cached_property
    def health(self) -> list[Row]:
        """Of sources, and of the services beside them that were called within the hour."""
        priorities = dict(registry.priorities())
        with self.database.connect() as connection:
            called = [name for (name,) in connection.execute(_CALLED).fetchall()]
        beside = dict.fromkeys(sorted(set(called) - set(priorities)), 0)
        return health.health_of(self.database, registry.policies(self.settings.rate_limits), priorities | beside)


Causes = Mapping[str, str]
"""What it is about -> why, in English words (`told`)."""


@dataclass(frozen=True)
class Rule:
    """A rule as it is seeded; `threshold` and `severity` are what a user may change, `unit` is the threshold's.

    `look` None: the event itself tells, and says when it is over.
    """

    name: str
    title: str
    doc: str
    severity: Severity
    threshold: float | None = None
    unit: str = ""
    look: Callable[[Sight, float], Causes] | None = None

    @property
    def most(self) -> float | None:
        """What a threshold may be at most; it is above 0 in any case."""
        return 100.0 if self.unit == "%" else None

    def in_words(self, threshold: float | None) -> str:
        """The threshold with its unit; "" where there is none."""
        return "" if threshold is None else f"{threshold:g} {say(self.unit) if self.unit else ''}".strip()


def _failing(sight: Sight, below: float) -> Causes:
    return health.failing(sight.health, below)


def _slow(sight: Sight, above: float) -> Causes:
    return health.slow(sight.health, above)


def _open_circuits(sight: Sight, _: float) -> Causes:
    return health.cut_off(sight.health)


def _stale(sight: Sight, sessions: float) -> Causes:
    """Data sets that were synced once: of one that never was, nobody asked for."""
    status = status_of(sight.database, sight.calendar, off=sight.settings.without)
    return {
        each.dataset: each.words
        for each in status.datasets
        if each.stale and each.last is not None and each.behind is not None and each.behind >= sessions
    }


def _disk(sight: Sight, gigabytes: float) -> Causes:
    free = room(sight.settings.home)
    if free >= gigabytes:
        return {}
    return {str(sight.settings.home): told("{free:.1f} GB are free", free=free)}


def _outbox(sight: Sight, minutes: float) -> Causes:
    with sight.database.connect() as connection:
        rows = connection.execute(_OLDEST).fetchall()
        ((unrouted, waits),) = connection.execute(_UNROUTED).fetchall()
    found = {
        channel: told("{count} waiting, the oldest for {minutes:.0f} min: {why}", count=count, minutes=age, why=error)
        if error
        else told("{count} waiting, the oldest for {minutes:.0f} min", count=count, minutes=age)
        for channel, count, age, error in rows
        if age >= minutes
    }
    if unrouted and waits >= minutes:
        found["outbox"] = told("{count} waiting, the oldest for {minutes:.0f} min", count=unrouted, minutes=waits)
    return found


def room(home: Path) -> float:
    """Gigabytes that are free under the home, or where it will stand."""
    folder = next(path for path in (home, *home.parents) if path.exists())
    return shutil.disk_usage(folder).free / _GIGABYTE


SUCCESS_RATE = Rule(
    "success_rate",
    marked("Low success rate"),
    marked("Fewer calls of a source or service succeed than the threshold, of at least 10."),
    Severity.WARNING,
    health.UNHEALTHY_BELOW,
    "%",
    _failing,
)
SLOW = Rule(
    "slow",
    marked("Slow answers"),
    marked("Calls of a source or service take longer than the threshold on average."),
    Severity.INFO,
    health.SLOW_ABOVE,
    "s",
    _slow,
)
CIRCUIT_OPEN = Rule(
    "circuit_open",
    marked("Circuit open"),
    marked("A source or service is left alone after repeated failures."),
    Severity.WARNING,
    look=_open_circuits,
)
DATA_STALE = Rule(
    "data_stale",
    marked("Data are old"),
    marked("A data set lacks as many of the last sessions (weeks, months) as the threshold, or more."),
    Severity.WARNING,
    2.0,
    marked("sessions"),
    _stale,
)
CHECK_FAILED = Rule(
    "check_failed",
    marked("Checks failed"),
    marked("Checks of a data set failed; over when they pass for the same sessions."),
    Severity.WARNING,
)
RUN_FAILED = Rule(
    "run_failed", marked("Run failed"), marked("A run failed; over when the same job succeeds."), Severity.CRITICAL
)
SESSION_EXPIRED = Rule(
    "session_expired",
    marked("THS login expired"),
    marked("A THS account is logged out, and a person is needed; over with the next login."),
    Severity.CRITICAL,
)
DISK_LOW = Rule(
    "disk_low",
    marked("Disk nearly full"),
    marked("Less is free on the disk of QUANT_HOME than the threshold."),
    Severity.CRITICAL,
    SCARCE,
    "GB",
    _disk,
)
OUTBOX_STUCK = Rule(
    "outbox_stuck",
    marked("Messages wait"),
    marked("A message has waited for a channel longer than the threshold."),
    Severity.WARNING,
    60.0,
    "min",
    _outbox,
)
RULES = {
    rule.name: rule
    for rule in (
        SUCCESS_RATE,
        SLOW,
        CIRCUIT_OPEN,
        DATA_STALE,
        CHECK_FAILED,
        RUN_FAILED,
        SESSION_EXPIRED,
        DISK_LOW,
        OUTBOX_STUCK,
    )
}
REMINDER = dt.timedelta(days=1)
"""An alert that lasts and that nobody acknowledged is told again after this."""
RETURNED = dt.timedelta(hours=1)
"""One that comes and goes is told at most so often."""
