"""The accounts and what became of them: the tables `ths_accounts` (how each stands) and `ths_events` (every transition)."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.ths.errors import DEFAULT, Failure, ThsError
from quant_pipeline.warehouse.database import Database

A_DAY: Final = 6
"""Logins of an account that are begun by itself."""
_LOCKS = 0x51504C + 7
"""Class of the advisory locks: an account is logged in by one process at a time."""


class State(StrEnum):
    """How an account stands."""

    ACTIVE = "active"
    EXPIRED = "expired"
    LOGGING_IN = "logging_in"
    BACKING_OFF = "backing_off"
    """A login by itself failed and is tried again later."""
    WAITING_FOR_CODE = "waiting_for_code"
    WAITING_FOR_PERSON = "waiting_for_person"
    USED_UP = "used_up"
    """The day's logins are used up."""
    LOGGED_OUT = "logged_out"

    @property
    def asks_for_a_person(self) -> bool:
        return self in (State.WAITING_FOR_CODE, State.WAITING_FOR_PERSON, State.USED_UP)


STATES: Final = {
    State.ACTIVE: marked("logged in"),
    State.EXPIRED: marked("expired"),
    State.LOGGING_IN: marked("logging in"),
    State.BACKING_OFF: marked("tries again later"),
    State.WAITING_FOR_CODE: marked("waits for the SMS code"),
    State.WAITING_FOR_PERSON: marked("waits for you"),
    State.USED_UP: marked("the day's logins are used up"),
    State.LOGGED_OUT: marked("logged out"),
}


_BEGINNING: Final = frozenset({State.LOGGING_IN, State.WAITING_FOR_CODE})
"""In these an account is shown that was never logged in before."""


class Method(StrEnum):
    """How an account was logged in."""

    QR = "qr"
    SMS = "sms"
    PASSWORD = "password"
    COOKIE = "cookie"


@dataclass(frozen=True)
class Account:
    """A row of `ths_accounts`."""

    account: str
    user_id: str | None
    nickname: str | None
    method: str | None
    state: State
    state_since: dt.datetime
    relogin: bool
    device: str
    logged_in_at: dt.datetime | None
    expires_at: dt.datetime | None
    checked_at: dt.datetime | None
    used_at: dt.datetime | None
    failed_at: dt.datetime | None
    failure: str | None
    failures: int
    next_attempt_at: dt.datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))

    @property
    def was_logged_in(self) -> bool:
        """Whether a login ever succeeded: only then it can expire."""
        return self.logged_in_at is not None


@dataclass(frozen=True)
class Event:
    """A row of `ths_events`: a transition."""

    id: int
    at: dt.datetime
    account: str
    former: str | None
    state: str
    method: str | None
    by_itself: bool
    why: str


class Accounts:
    """The accounts of a database. Threads and processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Account]:
        """Every account that was logged in, or is being for the first time, by name."""
        return [row for row in self._rows() if row.was_logged_in or row.state in _BEGINNING]

    def find(self, account: str) -> Account | None:
        """That account, even where no login of it ever succeeded."""
        return next((each for each in self._rows() if each.account == account), None)

    def named(self, account: str | None) -> Account:
        """That account; None: the only one. ThsError (unknown) where there is none, or several and none was named."""
        known = self.all()
        if account is not None:
            found = self.find(account)
        else:
            found = known[0] if len(known) == 1 else next((each for each in known if each.account == DEFAULT), None)
        if found is not None:
            return found
        if known:
            names = ", ".join(each.account for each in known)
            text = told("which THS account? Name one of {names} (--account)", names=names)
        else:
            text = told("no THS account is logged in: `quant-pipeline ths login qr`")
        raise ThsError(Failure.UNKNOWN, text)

    def _rows(self) -> list[Account]:
        with self._database.connect() as connection, connection.cursor(row_factory=class_row(Account)) as cursor:
            return cursor.execute("SELECT * FROM ths_accounts ORDER BY account").fetchall()

    def begun(self, account: str) -> Account:
        """That account, made where it is not there yet."""
        now = clock.now()
        with self._database.connect() as connection:
            connection.execute(
                "INSERT INTO ths_accounts (account, state, state_since, device) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (account, State.LOGGED_OUT, now, secrets.token_hex(16)),
            )
        return self.named(account)

    def move(
        self,
        account: str,
        state: State,
        why: str,
        *,
        method: Method | None = None,
        by_itself: bool = False,
        of: frozenset[State] | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> int | None:
        """A transition: the row and the event, in one transaction. The event's id; None where the state is none of `of`.

        `changes`: columns of the row. A failure is one with `failure`.
        """
        now = clock.now()
        with self._database.connect() as connection:
            row = connection.execute("SELECT state FROM ths_accounts WHERE account = %s FOR UPDATE", (account,)).fetchone()
            if row is None or (of is not None and row[0] not in of):
                return None
            _update(connection, account, {"state": state, "state_since": now, **(changes or {})})
            inserted = connection.execute(
                "INSERT INTO ths_events (at, account, former, state, method, by_itself, why) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
                (now, account, row[0], state, method, by_itself, why),
            ).fetchone()
            return int(inserted[0]) if inserted else None

    def note(self, account: str, **changes: Any) -> None:
        """Columns of the row that are no transition: when it was used, looked at."""
        with self._database.connect() as connection:
            _update(connection, account, changes)

    def forget(self, account: str) -> None:
        """Removes the account; what became of it stays in the events."""
        with self._database.connect() as connection:
            connection.execute("DELETE FROM ths_accounts WHERE account = %s", (account,))

    def events(self, account: str | None = None, limit: int = 50) -> list[Event]:
        """The last transitions, the newest first."""
        with self._database.connect() as connection, connection.cursor(row_factory=class_row(Event)) as cursor:
            return cursor.execute(
                "SELECT id, at, account, former, state, method, by_itself, why FROM ths_events "
                "WHERE %(account)s::text IS NULL OR account = %(account)s ORDER BY id DESC LIMIT %(limit)s",
                {"account": account, "limit": limit},
            ).fetchall()

    def logins_of(self, account: str, day: dt.date) -> int:
        """How many logins of the account were begun on that day of the exchange, by whomever."""
        begins = dt.datetime.combine(day, dt.time(), clock.EXCHANGE_ZONE)
        with self._database.connect() as connection:
            row = connection.execute(
                "SELECT count(*) FROM ths_events WHERE account = %s AND state = %s AND at >= %s AND at < %s",
                (account, State.LOGGING_IN, begins, begins + dt.timedelta(days=1)),
            ).fetchone()
            return int(row[0]) if row else 0


class Alone:
    """Within it this process is the only one that logs the account in. ThsError (taken) where another does.

    A lock of a connection of its own: however the process ends, it ends with it.
    """

    def __init__(self, database: Database, account: str) -> None:
        self._database, self._account = database, account
        self._connection: psycopg.Connection[Any] | None = None

    def __enter__(self) -> None:
        self._connection = self._database.connect(autocommit=True)
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_LOCKS, self._account)).fetchone()
        if not row or not row[0]:
            self._connection.close()
            text = told("{account} is being logged in by another process: wait for it to end", account=self._account)
            raise ThsError(Failure.TAKEN, text)

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            with self._connection as connection:  # unlocked first: a server lets go of a closed one's locks in its own time
                connection.execute("SELECT pg_advisory_unlock_all()")


def _update(connection: psycopg.Connection[Any], account: str, changes: Mapping[str, Any]) -> None:
    columns = psycopg.sql.SQL(", ").join(
        psycopg.sql.SQL("{} = {}").format(psycopg.sql.Identifier(name), psycopg.sql.Placeholder(name)) for name in changes
    )
    statement = psycopg.sql.SQL("UPDATE ths_accounts SET {} WHERE account = {}").format(
        columns, psycopg.sql.Placeholder("_account")
    )
    connection.execute(statement, {**changes, "_account": account})
