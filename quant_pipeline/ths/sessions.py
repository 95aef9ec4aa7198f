"""Sessions: what a login left, for whoever asks THS something in the user's name. They survive restarts, in the vault."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.ths.accounts import Account, Accounts, Method, State
from quant_pipeline.ths.errors import Failure, ThsError, login_command
from quant_pipeline.vault.errors import NoRecord
from quant_pipeline.vault.kinds import THS_SESSION
from quant_pipeline.vault.vault import Vault
from quant_pipeline.warehouse.database import Database

_USED_AGAIN = dt.timedelta(minutes=1)
"""How old the noted last use may be: it is no write per call."""
OVER = marked("the cookies' own time is over")


@dataclass(frozen=True)
class Session:
    """A logged-in account. Its cookies do not print."""

    account: str
    user_id: str
    nickname: str
    method: str
    logged_in_at: dt.datetime
    expires_at: dt.datetime | None
    cookies: Mapping[str, str] = field(repr=False)


class Sessions:
    """The sessions of a database."""

    def __init__(self, database: Database) -> None:
        self._accounts, self._vault = Accounts(database), Vault(database)

    def session(self, account: str | None = None) -> Session:
        """The session of that account (None: of the only one). It counts as used.

        ThsError: unknown where none is logged in, expired where it is over; the text says what to do. VaultError.
        """
        row = self._accounts.named(account)
        if row.state is State.ACTIVE and row.expires_at is not None and row.expires_at <= clock.now():
            self._accounts.move(row.account, State.EXPIRED, OVER, of=frozenset({State.ACTIVE}))
            row = self._accounts.named(row.account)
        if row.state is not State.ACTIVE:
            raise ThsError(Failure.EXPIRED, logged_out(row))
        found = self._read(row)
        if row.used_at is None or clock.now() - row.used_at >= _USED_AGAIN:
            self._accounts.note(row.account, used_at=clock.now())
        return found

    def peek(self, account: str) -> Session:
        """The session of an account in any state, as it was kept, for a probe: it is no use of it. ThsError, VaultError."""
        return self._read(self._accounts.named(account))

    def keep(self, account: str, method: Method, cookies: Mapping[str, str], *, user_id: str, nickname: str) -> None:
        """Keeps what a login brought. VaultError, and nothing was changed."""
        secret = {"cookies": dict(cookies), "user_id": user_id, "nickname": nickname}
        self._vault.put(THS_SESSION, account, secret, about={"method": method.value, "nickname": nickname})

    def report_expired(self, session: Session, answer: str) -> None:
        """An answer in use said that the cookies are not accepted (`errors.says_expired`): the account counts as expired.

        `answer`: its words, without secrets. The report of a session that a later login has replaced is late, and changes
        nothing; nor does a second one.
        """
        row = self._accounts.find(session.account)
        if row is not None and row.logged_in_at == session.logged_in_at:
            why = told("an answer in use: {answer}", answer=answer)
            failed = {"failed_at": clock.now(), "failure": why}
            self._accounts.move(row.account, State.EXPIRED, why, of=frozenset({State.ACTIVE}), changes=failed)

    def _read(self, row: Account) -> Session:
        try:
            held: Any = self._vault.get(THS_SESSION, row.account)
        except NoRecord:
            raise ThsError(Failure.EXPIRED, logged_out(row)) from None
        return Session(
            row.account,
            held["user_id"],
            held["nickname"],
            row.method or "",
            row.logged_in_at or row.state_since,
            row.expires_at,
            held["cookies"],
        )


def logged_out(row: Account) -> str:
    """What to tell whoever wants to use an account that is not logged in."""
    if row.state is State.WAITING_FOR_CODE:
        command = login_command("sms --code", row.account)
        return told("THS account {account} waits for the SMS code: `{command}`", account=row.account, command=command)
    command = login_command("qr", row.account)
    if not row.was_logged_in:
        return told("THS account {account} is not logged in: `{command}`", account=row.account, command=command)
    if row.state in (State.EXPIRED, State.LOGGING_IN, State.BACKING_OFF) and row.relogin:
        return told(
            "the THS login of {account} has expired and is renewed by itself where it can be (`quant-pipeline ths status`); "
            "or log in again: `{command}`",
            account=row.account,
            command=command,
        )
    return told("the THS login of {account} has expired: log in again, `{command}`", account=row.account, command=command)
