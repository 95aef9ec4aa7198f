"""The outbox: messages wait in the table `messages`, written with the event they tell of, until every receiver has them.

A message is one row, in the event's own transaction, and nothing more: what a channel does, and what a file of routes says,
never touches an event. Whoever delivers makes the deliveries (dispatch.py) and sends them (pace.py), the most urgent first
and in their order. A call is written down before it is made: a process that dies loses nothing, and at most the one message
that it was sending goes twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg

from quant_pipeline.notify import asking, dispatch, pace
from quant_pipeline.notify.channels.contract import Accepted, Channel, Refused, Unknown
from quant_pipeline.notify.handing_over import hand_over
from quant_pipeline.notify.messages import Message
from quant_pipeline.notify.routing import Routes, in_turn, routes_of
from quant_pipeline.sources.refusals import record_unknown
from quant_pipeline.warehouse.database import Database

_logger = logging.getLogger(__name__)

_ENQUEUE = """
INSERT INTO messages (dedupe_key, severity, kind, topic, title, content, template, status)
VALUES (%s, %s, %s, nullif(%s, ''), %s, %s, %s, 'pending') ON CONFLICT (dedupe_key) DO NOTHING
"""
_SENT = """
UPDATE deliveries SET parts_sent = parts_sent + 1, receipts = array_cat(receipts, %(receipts)s), error = NULL, strikes = 0,
       state = CASE WHEN %(whole)s THEN 'accepted' ELSE state END, ask_at = clock_timestamp()
WHERE id = %(id)s
"""
_NOTED = "UPDATE deliveries SET error = %s WHERE id = %s"
_LOGGED = """
UPDATE messages SET status = 'logged', routed_at = coalesce(routed_at, clock_timestamp())
WHERE id IN (SELECT id FROM messages WHERE status = 'pending' AND (routed_at IS NULL OR NOT EXISTS (
    SELECT FROM deliveries WHERE message = messages.id)) FOR UPDATE SKIP LOCKED)
RETURNING title, content
"""
_WAITING = """
SELECT (SELECT count(*) FROM deliveries WHERE state = 'waiting') + (SELECT count(*) FROM messages WHERE routed_at IS NULL)
"""
_DUE = """
SELECT DISTINCT channel FROM deliveries WHERE state = 'waiting' AND not_before <= clock_timestamp()
"""


@dataclass(frozen=True)
class Delivered:
    """What a call of `deliver` did, in deliveries; `waiting` are those that are still to be sent."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    passed_on: int = 0
    waiting: int = 0
    logged: int = 0

    def __str__(self) -> str:
        counts = (
            ("已发送 sent", self.sent),
            ("已送达 delivered", self.delivered),
            ("失败 failed", self.failed),
            ("改道 passed on", self.passed_on),
            ("待发 waiting", self.waiting),
            ("仅写日志 logged", self.logged),
        )
        return " · ".join(f"{word} {count}" for word, count in counts if count) or "没有待发消息 nothing to send"


def enqueue(connection: psycopg.Connection[Any], dedupe_key: str, message: Message) -> bool:
    """Puts the message into the outbox, in the caller's transaction; False when this event was told before."""
    values = (message.severity, message.kind, message.topic, message.title, message.content, message.template)
    return connection.execute(_ENQUEUE, (dedupe_key, *values)).rowcount == 1


def deliver(database: Database, channels: Sequence[Channel], routes: Routes | None = None) -> Delivered:
    """Asks what became of accepted messages, sends those that are due within the channels' limits, asks about these too.

    Many processes may call it at once. Without a channel the messages are logged instead. What a service does never raises:
    it is recorded with the delivery, which is tried again, or passed on to the next channel. `routes` None: one receiver,
    whom every channel reaches. DatabaseError, psycopg.Error.
    """
    with database.connect(autocommit=True) as connection:
        if not channels:
            return Delivered(logged=_log(connection))
        work = _Delivering(database, connection, channels, routes or routes_of({}, channels))
        done = work.run()
        ((waiting,),) = connection.execute(_WAITING).fetchall()
        counts = {name: done[name] for name in ("sent", "delivered", "failed", "passed_on")}
        return Delivered(**counts, waiting=waiting)


def _log(connection: psycopg.Connection[Any]) -> int:
    with connection.transaction():
        messages = connection.execute(_LOGGED).fetchall()
        for title, content in messages:
            _logger.info("no channel is set up (PUSHPLUS_TOKEN), so this message is only logged: %s\n%s", title, content)
    return len(messages)


class _Delivering:
    """One call of `deliver`."""

    def __init__(
        self, database: Database, connection: psycopg.Connection[Any], channels: Sequence[Channel], routes: Routes
    ) -> None:
        self._database = database
        self._connection = connection
        self._routes = routes
        self._channels = {channel.name: channel for channel in in_turn(channels)}
        shared: dict[str, list[Channel]] = {}
        for channel in self._channels.values():
            shared.setdefault(channel.account, []).append(channel)
        self._accounts = [
            pace.Account(name, each[0].limits, [channel.name for channel in each]) for name, each in shared.items()
        ]

    def run(self) -> Counter[str]:
        done = asking.ask(self._connection, self._routes, self._channels)
        receipts: list[int] = []
        while True:
            done["passed_on"] += self._arrange()
            tallies = self._send()
            for tally, sent in tallies:
                done += tally
                receipts += sent
            if not any(tally["tried"] for tally, _ in tallies):
                break
        done += asking.ask(self._connection, self._routes, self._channels, receipts, patience=asking.PATIENCE)
        return done

    def _arrange(self) -> int:
        """Routes, folds and passes on what waits; how many were passed on."""
        dispatch.route(self._connection, self._routes)
        shut, weary = pace.closed(self._connection, self._accounts)
        moved = dispatch.pass_on(self._connection, self._routes, list(self._channels), shut, weary)
        dispatch.fold_backlogs(self._connection, self._channels)
        return moved

    def _send(self) -> list[tuple[Counter[str], list[int]]]:
        """Sends over every account beside the others: one that hangs holds up no other."""
        due = {name for (name,) in self._connection.execute(_DUE).fetchall()}
        accounts = [account for account in self._accounts if due.intersection(account.channels)]
        if len(accounts) < 2:
            return [self._over(self._connection, account) for account in accounts]
        with ThreadPoolExecutor(len(accounts), thread_name_prefix="outbox") as pool:
            return list(pool.map(self._over_its_own, accounts))

    def _over_its_own(self, account: pace.Account) -> tuple[Counter[str], list[int]]:
        with self._database.connect(autocommit=True) as connection:
            return self._over(connection, account)

    def _over(self, connection: psycopg.Connection[Any], account: pace.Account) -> tuple[Counter[str], list[int]]:
        """Sends what is due over the account until its limits are reached or it fails: counts, and what can be asked about."""
        tally: Counter[str] = Counter()
        receipts: list[int] = []
        with account.held(connection) as held:
            while held and (claim := account.claim(connection)) is not None:
                tally["tried"] += 1
                if not self._hand_over(connection, account, claim, tally, receipts):
                    break
        return tally, receipts

    def _hand_over(
        self,
        connection: psycopg.Connection[Any],
        account: pace.Account,
        claim: pace.Claim,
        tally: Counter[str],
        receipts: list[int],
    ) -> bool:
        """Sends the part; False: the account is to be left alone for now."""
        channel = self._channels[claim.channel]
        answer, whole = hand_over(channel, claim.message, claim.parts_sent)
        if isinstance(answer, Accepted):
            given = [answer.receipt] if answer.receipt is not None else []
            with connection.transaction():
                account.accepted(connection, claim)
                connection.execute(_SENT, {"receipts": given, "whole": whole, "id": claim.delivery})
                dispatch.summarise(connection, [claim.number])
            if whole:
                tally["sent"] += 1
                receipts.append(claim.delivery)
            return True
        final = isinstance(answer, Refused) and not answer.retryable and not answer.for_the_day
        reason = f"{_word(answer)}: {answer.text}"
        _logger.warning("message %s was not sent over %s: %s", claim.number, claim.channel, reason)
        with connection.transaction():
            if final:
                account.refused(connection, claim, reason)
            elif isinstance(answer, Unknown):
                account.failed(connection, claim, "unknown", reason)
            elif answer.for_the_day:
                account.limited_for_the_day(connection, claim, reason)
            elif answer.retry_after is not None:
                account.asked_to_wait(connection, claim, answer.retry_after, reason)
            else:
                account.failed(connection, claim, "refused", reason)
            if isinstance(answer, Refused) and answer.unfamiliar:
                record_unknown(connection, channel.kind, "send", answer.text)
            connection.execute(_NOTED, (reason, claim.delivery))
            dispatch.summarise(connection, [claim.number])
        if final:
            shut, _ = pace.closed(connection, self._accounts)
            known = list(self._channels)
            passed_on = dispatch.give_up(connection, self._routes, claim.delivery, known, reason, shut)
            tally["passed_on" if passed_on else "failed"] += 1
        return final


def _word(answer: Refused | Unknown) -> str:
    if isinstance(answer, Unknown):
        return "unknown"
    if answer.for_the_day:
        return "limited_for_the_day"
    return "retryable" if answer.retryable else "permanent"
