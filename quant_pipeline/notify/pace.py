"""How fast an account may be used, for all processes: limits a second, a minute and a day, and its circuit.

One process at a time sends over an account (it holds an advisory lock, which ends with it): so the order is kept, and no
two can find room for the same call. A call counts from its start until a minute after its answer, since the service may
have counted it at any moment in between; one whose process died, for as long as an answer may take.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from quant_pipeline.market import clock
from quant_pipeline.notify import digests
from quant_pipeline.notify.channels.contract import Limits
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.severity import Severity

TRIP = 3
"""Failures in a row that open the circuit: what waits is passed on."""
MINUTE = 60.5
"""Seconds: a little more than the services' own."""
REST = 60.0
"""Seconds that an account rests after a failure; twice as long after each further one, an hour at most."""
_LONGEST_CALL = 120
"""Seconds after which the call of a process that died is surely over."""
_STRIKES = 3
"""A message that failed so often while its channel was well lets the others go first."""
_REOPENS = dt.time(0, 5)
"""When a day's limit is surely over, in exchange time."""
_LONG_REST = dt.timedelta(minutes=10)
"""A service that wants to be left alone for longer is shut: what waits is passed on."""
_LOCKS = 0x51504C + 3

_INTRODUCE = "INSERT INTO channel_state (account) VALUES (%s) ON CONFLICT DO NOTHING"
_STATES = """
SELECT account, coalesce(retry_at > clock_timestamp(), false), failures,
       coalesce(day_until > clock_timestamp(), false), coalesce(retry_at - changed_at > %s, false),
       (SELECT count(*) FROM delivery_attempts AS call
        WHERE call.account = state.account AND call.started_at > clock_timestamp() - %s)
FROM channel_state AS state WHERE account = ANY(%s)
"""
_USED = """
SELECT count(*) FILTER (WHERE coalesce(finished_at, started_at + %(longest)s) > clock_timestamp() - %(minute)s),
       count(*) FILTER (WHERE started_at > clock_timestamp() - %(today)s),
       extract(epoch FROM clock_timestamp() - max(coalesce(finished_at, started_at)))::float8
FROM delivery_attempts WHERE account = %(account)s AND started_at > clock_timestamp() - interval '25 hours'
"""
_CLAIM = """
UPDATE deliveries SET attempts = attempts + 1, sent_at = clock_timestamp() WHERE id = (
    SELECT id FROM deliveries WHERE state = 'waiting' AND channel = ANY(%(channels)s) AND not_before <= clock_timestamp()
    ORDER BY strikes >= %(strikes)s, urgency, message, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, message, channel, parts_sent, attempts
"""
_CONTENT = "SELECT title, content, template, severity, kind, coalesce(topic, '') FROM messages WHERE id = %s"
_BEGUN = "INSERT INTO delivery_attempts (delivery, account) VALUES (%s, %s) RETURNING id"
_ENDED = "UPDATE delivery_attempts SET finished_at = clock_timestamp(), outcome = %s, error = %s WHERE id = %s"
_WELL = """
UPDATE channel_state SET failures = 0, retry_at = NULL, day_until = NULL, reason = NULL, changed_at = clock_timestamp()
WHERE account = %(account)s AND (failures > 0 OR retry_at IS NOT NULL OR day_until IS NOT NULL) RETURNING account
"""
_FORGIVE = """
UPDATE deliveries SET strikes = %(strikes)s - 1
WHERE state = 'waiting' AND channel = ANY(%(channels)s) AND strikes >= %(strikes)s
"""
_WAS_OPEN = "SELECT failures >= %s FROM channel_state WHERE account = %s FOR UPDATE"
_FAILED = """
UPDATE channel_state SET failures = failures + 1, reason = %(reason)s, changed_at = clock_timestamp(),
       retry_at = clock_timestamp() + %(rest)s * least(60, 2 ^ least(failures, 6))
WHERE account = %(account)s RETURNING failures
"""
# One that it refuses for good may be the message's own fault; three in a row are the account's (a wrong key).
_REFUSED = """
UPDATE channel_state SET failures = failures + 1, reason = %(reason)s, changed_at = clock_timestamp(),
       retry_at = CASE WHEN failures + 1 >= %(trip)s
           THEN clock_timestamp() + %(rest)s * least(60, 2 ^ least(failures, 6)) END
WHERE account = %(account)s
"""
_STRIKE = "UPDATE deliveries SET strikes = strikes + 1 WHERE id = %s"
_WAIT = """
UPDATE channel_state SET retry_at = clock_timestamp() + %s, reason = %s, changed_at = clock_timestamp() WHERE account = %s
"""
_FOR_THE_DAY = """
UPDATE channel_state SET day_until = clock_timestamp() + %s, reason = %s, changed_at = clock_timestamp() WHERE account = %s
"""
_TRY_LOCK = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
_UNLOCK = "SELECT pg_advisory_unlock(%s, hashtext(%s))"


@dataclass(frozen=True)
class Claim:
    """A part of a message that is to be sent now: it counts against the limits already."""

    call: int
    delivery: int
    number: int
    """The message's."""
    channel: str
    parts_sent: int
    message: Message


class Account:
    """An account of a service, with the names of the channels that draw from it."""

    def __init__(self, name: str, limits: Limits, channels: Sequence[str]) -> None:
        self.name = name
        self.limits = limits
        self.channels = list(channels)

    @contextmanager
    def held(self, connection: psycopg.Connection[Any]) -> Iterator[bool]:
        """Whether this process sends over the account for the block; another that does will take what waits."""
        held = connection.execute(_TRY_LOCK, (_LOCKS, self.name)).fetchall()[0][0]
        try:
            yield held
        finally:
            if held:
                connection.execute(_UNLOCK, (_LOCKS, self.name))

    def claim(self, connection: psycopg.Connection[Any]) -> Claim | None:
        """The next part that is due, the most urgent and the oldest first; None: nothing is, or nothing may go now."""
        while True:
            with connection.transaction():
                connection.execute(_INTRODUCE, (self.name,))
                ((_, resting, _, for_the_day, _, _),) = _states(connection, [self.name])
                wait = None if resting or for_the_day else self._room(connection)
                if wait == 0.0:
                    return self._claimed(connection)
            if wait is None:
                return None
            time.sleep(wait)

    def _room(self, connection: psycopg.Connection[Any]) -> float | None:
        """Seconds until a call may start; None: not within this second."""
        values = {
            "account": self.name,
            "today": _today(),
            "minute": dt.timedelta(seconds=MINUTE),
            "longest": dt.timedelta(seconds=_LONGEST_CALL),
        }
        ((in_minute, today, idle),) = connection.execute(_USED, values).fetchall()
        for count, most in ((in_minute, self.limits.a_minute), (today, self.limits.a_day)):
            if most is not None and count >= most:
                return None
        if self.limits.a_second is None or idle is None:
            return 0.0
        return max(0.0, 1 / self.limits.a_second - float(idle))

    def _claimed(self, connection: psycopg.Connection[Any]) -> Claim | None:
        row = connection.execute(_CLAIM, {"channels": self.channels, "strikes": _STRIKES}).fetchone()
        if row is None:
            return None
        delivery, number, channel, parts_sent, attempts = row
        title, content, template, severity, kind, topic = connection.execute(_CONTENT, (number,)).fetchall()[0]
        if kind == digests.KIND and attempts == 1:
            digests.write(connection, number)
            title, content, *_ = connection.execute(_CONTENT, (number,)).fetchall()[0]
        ((call,),) = connection.execute(_BEGUN, (delivery, self.name)).fetchall()
        message = Message(title, content, template, Severity(severity), kind, topic)
        return Claim(call, delivery, number, channel, parts_sent, message)

    def accepted(self, connection: psycopg.Connection[Any], claim: Claim) -> None:
        """The service took it: the account is well, and after an outage what it kept waiting is tried first again."""
        connection.execute(_ENDED, ("accepted", None, claim.call))
        ((was_open,),) = connection.execute(_WAS_OPEN, (TRIP, self.name)).fetchall()
        connection.execute(_WELL, {"account": self.name})
        if was_open:
            connection.execute(_FORGIVE, {"channels": self.channels, "strikes": _STRIKES})

    def refused(self, connection: psycopg.Connection[Any], claim: Claim, reason: str) -> None:
        """The service does not want this message; the third in a row opens the circuit, so that others need not ask."""
        connection.execute(_ENDED, ("refused", reason, claim.call))
        connection.execute(_REFUSED, {"account": self.name, "reason": reason, "trip": TRIP, "rest": _rest()})

    def failed(self, connection: psycopg.Connection[Any], claim: Claim, outcome: str, reason: str) -> None:
        """It did not go through: the account rests, longer each time, and its circuit opens at the third in a row."""
        connection.execute(_ENDED, (outcome, reason, claim.call))
        ((was_open,),) = connection.execute(_WAS_OPEN, (TRIP, self.name)).fetchall()
        connection.execute(_FAILED, {"account": self.name, "reason": reason, "rest": _rest()})
        if not was_open:
            connection.execute(_STRIKE, (claim.delivery,))

    def asked_to_wait(self, connection: psycopg.Connection[Any], claim: Claim, wait: dt.timedelta, reason: str) -> None:
        """The service named the time: no failure."""
        connection.execute(_ENDED, ("refused", reason, claim.call))
        connection.execute(_WAIT, (wait, reason, self.name))

    def limited_for_the_day(self, connection: psycopg.Connection[Any], claim: Claim, reason: str) -> None:
        """Nothing more is to be sent before the next day."""
        connection.execute(_ENDED, ("refused", reason, claim.call))
        now = clock.now()
        reopens = dt.datetime.combine(now.date() + dt.timedelta(days=1), _REOPENS, clock.EXCHANGE_ZONE)
        connection.execute(_FOR_THE_DAY, (reopens - now, reason, self.name))


def closed(connection: psycopg.Connection[Any], accounts: Sequence[Account]) -> tuple[list[str], list[str]]:
    """The channels that are shut (used up for the day, circuit open, told to rest for long), and those that failed just now."""
    by_name = {account.name: account for account in accounts}
    shut: list[str] = []
    weary: list[str] = []
    for name, resting, failures, for_the_day, long_rest, today in _states(connection, list(by_name)):
        account = by_name[name]
        used_up = account.limits.a_day is not None and today >= account.limits.a_day
        if for_the_day or used_up or (resting and (long_rest or failures >= TRIP)):
            shut += account.channels
        elif resting:
            weary += account.channels
    return shut, weary


def _states(connection: psycopg.Connection[Any], accounts: list[str]) -> list[tuple[Any, ...]]:
    return connection.execute(_STATES, (_LONG_REST, _today(), accounts)).fetchall()


def _rest() -> dt.timedelta:
    return dt.timedelta(seconds=REST)


def _today() -> dt.timedelta:
    """How long the exchange's day lasts already."""
    now = clock.now()
    return now - dt.datetime.combine(now.date(), dt.time(), clock.EXCHANGE_ZONE)
