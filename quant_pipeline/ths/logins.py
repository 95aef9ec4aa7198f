"""Logging in, by each method: one process at a time for each account, every transition a row, what it brings into the vault.

What a login needs of its owner (password, number, code, cookies) comes out of the vault, where a prompt has put it: it is in
no argument, no run config, no event.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.ths import cookies as jar
from quant_pipeline.ths import password, qr, sms
from quant_pipeline.ths.accounts import Account, Accounts, Alone, Method, State
from quant_pipeline.ths.errors import Failure, ThsError, login_command
from quant_pipeline.ths.hosts import Hosts
from quant_pipeline.ths.line import Line
from quant_pipeline.ths.probe import who
from quant_pipeline.ths.sessions import Session, Sessions
from quant_pipeline.vault.errors import NoRecord, VaultError
from quant_pipeline.vault.kinds import THS_CODE, THS_COOKIES, THS_MOBILE, THS_PASSWORD, THS_SESSION, THS_SMS
from quant_pipeline.vault.vault import Vault
from quant_pipeline.warehouse.database import Database

ENTRUSTED = dt.timedelta(minutes=10)
"""How long what is needed once lies in the vault: it is taken by the login, or gone after that."""
CODE_LIFE = dt.timedelta(minutes=10)
"""How long a code is waited for."""
_BROKEN_OFF: Final = marked("the login was broken off")


class Logins:
    """Logins of the accounts of a database, at these servers."""

    def __init__(self, database: Database, hosts: Hosts) -> None:
        self.accounts, self.sessions, self.vault = Accounts(database), Sessions(database), Vault(database)
        self._database, self._hosts = database, hosts

    def entrust_password(self, account: str, name: str, secret: str, *, keep: bool) -> None:
        """Puts name and password into the vault; for ten minutes, unless they are to be kept for later logins. VaultError."""
        about = {"kept": "yes" if keep else "for the next login"}
        lives = None if keep else ENTRUSTED
        self.vault.put(THS_PASSWORD, account, {"name": name, "password": secret, "keep": keep}, about=about, lives=lives)

    def entrust_mobile(self, account: str, mobile: str) -> None:
        """Puts the number into the vault, for SMS now and for those of a login by itself. ThsError, VaultError."""
        self.vault.put(THS_MOBILE, account, sms.number_of(mobile))

    def entrust_code(self, account: str, code: str) -> None:
        """Puts the code of an SMS into the vault, for as long as it can be used. VaultError."""
        self.vault.put(THS_CODE, account, code, lives=CODE_LIFE)

    def entrust_cookies(self, account: str, text: str) -> None:
        """Puts cookies, in any form that `cookies.read` knows, into the vault for the import. ThsError, VaultError."""
        self.vault.put(THS_COOKIES, account, jar.read(text), lives=ENTRUSTED)

    def by_qr(self, account: str, show: qr.Look) -> Session:
        """Shows QR codes until one is confirmed. ThsError, VaultError."""
        with self._logging_in(account, Method.QR) as (row, line):
            qr.log_in(line, row.device, show)
            return self._logged_in(account, Method.QR, line)

    def by_password(self, account: str, *, by_itself: bool = False) -> Session:
        """With the name and password that lie in the vault; those that were not to be kept are gone after that, however it
        ends, as are those of a first login that failed. ThsError, VaultError."""
        held = self._entrusted(THS_PASSWORD, account, marked("give the password first: `{command}`"), "password")
        try:
            with self._logging_in(account, Method.PASSWORD, by_itself=by_itself) as (row, line):
                password.log_in(line, held["name"], held["password"], row.device)
                return self._logged_in(account, Method.PASSWORD, line, by_itself=by_itself)
        finally:
            kept = self.accounts.find(account)
            if not held["keep"] or kept is None or not kept.was_logged_in:
                self.vault.forget(THS_PASSWORD, account)

    def by_cookies(self, account: str) -> Session:
        """With the cookies that lie in the vault for it; they are tried before they are kept. ThsError, VaultError."""
        held = self._entrusted(THS_COOKIES, account, marked("give the cookies first: `{command}`"), "cookie")
        try:
            with self._logging_in(account, Method.COOKIE) as (_, line):
                line.cookies |= held
                return self._logged_in(account, Method.COOKIE, line)
        finally:
            self.vault.forget(THS_COOKIES, account)

    def send_code(self, account: str, *, by_itself: bool = False) -> None:
        """Has a code sent to the number that lies in the vault; the account then waits for it. ThsError, VaultError."""
        mobile = self._entrusted(THS_MOBILE, account, marked("give the number first: `{command}`"), "sms")
        with self._logging_in(account, Method.SMS, by_itself=by_itself) as (_, line):
            sms.send(line, mobile)
            self.vault.put(THS_SMS, account, line.cookies, lives=CODE_LIFE)
            self.vault.forget(THS_CODE, account)  # of an SMS before this one
            sent = told("a code was sent to {number}", number=f"{mobile[:3]}****{mobile[-4:]}")
            self.accounts.move(account, State.WAITING_FOR_CODE, sent, method=Method.SMS, by_itself=by_itself)

    def by_code(self, account: str, *, by_itself: bool = False) -> Session:
        """With the code that lies in the vault: the second step of `send_code`. A wrong one leaves the account waiting.

        ThsError, VaultError.
        """
        with Alone(self._database, account):
            row = self.accounts.named(account)
            if row.state is not State.WAITING_FOR_CODE or not self.vault.holds(THS_SMS, account):
                command = login_command("sms", account)
                raise ThsError(Failure.CODE, told("no code is waited for: ask for one with `{command}`", command=command))
            code = self._entrusted(THS_CODE, account, marked("give the code first: `{command}`"), "sms --code")
            line = Line(self._hosts, self._entrusted(THS_SMS, account, _BROKEN_OFF), account=account)
            self.vault.forget(THS_CODE, account)  # right or wrong, it is used
            try:
                sms.check(line, self._entrusted(THS_MOBILE, account, _BROKEN_OFF), code)
                session = self._logged_in(account, Method.SMS, line, by_itself=by_itself)
            except ThsError as error:
                state = State.WAITING_FOR_CODE if error.failure is Failure.CODE or error.failure.passing else State.EXPIRED
                failed = {"failed_at": clock.now(), "failure": str(error)}
                self.accounts.move(account, state, str(error), method=Method.SMS, by_itself=by_itself, changes=failed)
                raise
            self.vault.forget(THS_SMS, account)
            return session

    def log_out(self, account: str) -> None:
        """Forgets everything that was kept of the account. THS is not told: its own app ends a login there. ThsError."""
        with Alone(self._database, account):
            self.accounts.named(account)
            for kind in (THS_SESSION, THS_PASSWORD, THS_MOBILE, THS_CODE, THS_SMS, THS_COOKIES):
                self.vault.forget(kind, account)
            self.accounts.move(account, State.LOGGED_OUT, marked("logged out by hand"))
            self.accounts.forget(account)

    def probe(self, account: str) -> bool:
        """Asks THS whether the kept cookies hold, and notes the answer. False where they do not; ThsError where it does not
        say, VaultError."""
        session = self.sessions.peek(account)
        try:
            found = who(Line(self._hosts, session.cookies, account=account))
        except ThsError as error:
            failed = {"failed_at": clock.now(), "failure": str(error)}
            if error.failure is not Failure.EXPIRED:
                self.accounts.note(account, **failed)
                raise
            self.accounts.move(
                account, State.EXPIRED, str(error), of=frozenset({State.ACTIVE}), changes=failed | {"checked_at": clock.now()}
            )
            return False
        self.accounts.note(account, checked_at=clock.now(), nickname=found.nickname)
        return True

    @contextmanager
    def _logging_in(self, account: str, method: Method, *, by_itself: bool = False) -> Iterator[tuple[Account, Line]]:
        """Alone with the account, whose transitions frame the login; one that fails leaves it as it was."""
        self.vault.check()  # before anybody scans a code that could not be kept
        with Alone(self._database, account):
            row = self.accounts.begun(account)
            if by_itself and row.state is State.ACTIVE:  # another process was quicker
                raise ThsError(Failure.TAKEN, told("{account} was logged in by another process", account=account))
            former = State.EXPIRED if row.state is State.LOGGING_IN else row.state  # of a process that died
            self.accounts.move(account, State.LOGGING_IN, marked("a login began"), method=method, by_itself=by_itself)
            try:
                yield row, Line(self._hosts, account=account)
            except Exception as error:
                why = str(error) if isinstance(error, ThsError | VaultError) else _BROKEN_OFF
                failed = {"failed_at": clock.now(), "failure": why}
                self.accounts.move(account, former, why, method=method, by_itself=by_itself, changes=failed)
                raise
            except BaseException:  # Ctrl-C
                self.accounts.move(account, former, _BROKEN_OFF, method=method, by_itself=by_itself)
                raise

    def _logged_in(self, account: str, method: Method, line: Line, *, by_itself: bool = False) -> Session:
        """Keeps what the line's jar holds, after a look whether it opens the account."""
        found = who(line)
        self.sessions.keep(account, method, line.cookies, user_id=found.user_id, nickname=found.nickname)
        now = clock.now()
        self.accounts.move(
            account,
            State.ACTIVE,
            told("logged in as {nickname}", nickname=found.nickname or found.user_id),
            method=method,
            by_itself=by_itself,
            changes={
                "user_id": found.user_id,
                "nickname": found.nickname,
                "method": method,
                "logged_in_at": now,
                "expires_at": jar.expiry(line.cookies),
                "checked_at": now,
                "failures": 0,
                "next_attempt_at": None,
            },
        )
        return self.sessions.peek(account)

    def _entrusted(self, kind: str, account: str, otherwise: str, method: str = "") -> Any:
        """What lies in the vault; where it does not, ThsError in the words `otherwise`, with the command of the `method`."""
        try:
            return self.vault.get(kind, account)
        except NoRecord:
            raise ThsError(Failure.REFUSED, told(otherwise, command=login_command(method, account))) from None
