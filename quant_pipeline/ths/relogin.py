"""Logging in again by itself: when that is due, what is tried, how often, and when a person is told.

expired -> may it? a password kept? -> logging_in -> active, or backing_off (5 to 60 minutes), or waiting_for_person
                   else last by SMS? -> an SMS is sent -> waiting_for_code -> active, or waiting_for_person
                   else              -> waiting_for_person
Six logins of an account a day, whoever began them, and no more (used_up, until the next day).
"""

from __future__ import annotations

import datetime as dt

from quant_pipeline.language import marked, told
from quant_pipeline.market import clock
from quant_pipeline.ths.accounts import A_DAY, Account, Method, State
from quant_pipeline.ths.errors import Failure, ThsError
from quant_pipeline.ths.logins import CODE_LIFE, Logins
from quant_pipeline.ths.sessions import OVER
from quant_pipeline.vault.errors import VaultError
from quant_pipeline.vault.kinds import THS_CODE, THS_MOBILE, THS_PASSWORD, THS_SESSION

_FIRST_WAIT, _LONGEST_WAIT = dt.timedelta(minutes=5), dt.timedelta(minutes=60)
_BETWEEN = dt.timedelta(minutes=30)
"""How soon after a login an expiry may bring the next one: what expires at once again would use up the day."""
PROBED_EVERY = dt.timedelta(minutes=30)
_ENDED = marked("the process that logged in has ended before it was through")


class Relogin:
    """The machine over the logins."""

    def __init__(self, logins: Logins) -> None:
        self._logins, self._accounts, self._vault = logins, logins.accounts, logins.vault

    def look(self, row: Account) -> bool | None:
        """Probes an active account whose last look is half an hour ago; one whose time is over needs no question. Whether it
        holds; None: not looked at, or nobody knows."""
        now = clock.now()
        if row.state is not State.ACTIVE:
            return None
        if row.expires_at is not None and row.expires_at <= now:
            self._accounts.move(row.account, State.EXPIRED, OVER, of=frozenset({State.ACTIVE}))
            return False
        if row.checked_at is not None and now - row.checked_at < PROBED_EVERY:
            return None
        try:
            return self._logins.probe(row.account)
        except ThsError as error:
            if error.failure is Failure.EXPIRED:  # nothing is kept any more
                self._accounts.move(row.account, State.EXPIRED, str(error), of=frozenset({State.ACTIVE}))
                return False
            self._accounts.note(row.account, checked_at=now)
            return None
        except VaultError as error:
            self._hand_over(row, str(error))
            return False

    def due(self, row: Account) -> bool:
        """Whether there is something to do that needs nobody."""
        now = clock.now()
        match row.state:
            case State.EXPIRED:
                return True
            case State.BACKING_OFF:
                return row.next_attempt_at is None or row.next_attempt_at <= now
            case State.WAITING_FOR_CODE:
                return self._vault.holds(THS_CODE, row.account) or now - row.state_since >= CODE_LIFE
            case State.USED_UP:
                return row.state_since.astimezone(clock.EXCHANGE_ZONE).date() < now.date()
            case State.LOGGING_IN:  # alive, it holds the account: the step finds out
                return now - row.state_since >= _FIRST_WAIT
        return False

    def step(self, account: str) -> Account:
        """Does what is due, and answers with how the account stands then. It never raises for THS's sake."""
        row = self._accounts.named(account)
        if self.due(row):
            try:
                self._do(row)
            except ThsError as error:
                if error.failure is not Failure.TAKEN:
                    self._failed(row, error)
            except VaultError as error:
                self._hand_over(row, str(error))
        return self._accounts.named(account)

    def _do(self, row: Account) -> None:
        if row.state is State.WAITING_FOR_CODE:
            self._with_code(row)
        elif row.state is State.LOGGING_IN:
            self._put_off(row, _ENDED)
        elif not row.relogin:
            self._hand_over(row, marked("logging in by itself is switched off"))
        elif self._accounts.logins_of(row.account, clock.today()) >= A_DAY:
            self._move(row, State.USED_UP, told("{count} logins were begun today: none by itself before tomorrow", count=A_DAY))
        elif row.state is State.EXPIRED and row.logged_in_at is not None and clock.now() - row.logged_in_at < _BETWEEN:
            again = row.logged_in_at + _BETWEEN
            why = told(
                "it expired soon after a login: tried again at {at}", at=f"{again.astimezone(clock.EXCHANGE_ZONE):%H:%M}"
            )
            self._move(row, State.BACKING_OFF, why, next_attempt_at=again)
        elif self._vault.holds(THS_PASSWORD, row.account):
            self._logins.by_password(row.account, by_itself=True)
        elif row.method == Method.SMS and self._vault.holds(THS_MOBILE, row.account):
            self._logins.send_code(row.account, by_itself=True)
        else:
            self._hand_over(row, marked("no password is kept, and the last login was not by SMS: only you can log in"))

    def _with_code(self, row: Account) -> None:
        """The code is there, or its time is over; where the session of before still holds, that goes on."""
        if self._vault.holds(THS_CODE, row.account):
            self._logins.by_code(row.account, by_itself=True)
        elif self._vault.holds(THS_SESSION, row.account) and self._logins.probe(row.account):
            self._move(row, State.ACTIVE, marked("no code came, and the login of before still holds"))
        else:
            self._hand_over(row, marked("no code came in time"))

    def _failed(self, row: Account, error: ThsError) -> None:
        """After a login by itself that failed."""
        if error.failure is Failure.CODE:
            return  # it goes on waiting
        if error.failure.passing:
            self._put_off(row, str(error))
        else:
            self._hand_over(row, str(error))

    def _put_off(self, row: Account, why: str) -> None:
        wait = min(_FIRST_WAIT * 2**row.failures, _LONGEST_WAIT)
        changes = {
            "failures": row.failures + 1,
            "next_attempt_at": clock.now() + wait,
            "failed_at": clock.now(),
            "failure": why,
        }
        self._move(row, State.BACKING_OFF, why, **changes)

    def _hand_over(self, row: Account, why: str) -> None:
        self._move(row, State.WAITING_FOR_PERSON, why, failed_at=clock.now(), failure=why)

    def _move(self, row: Account, state: State, why: str, **changes: object) -> None:
        self._accounts.move(row.account, state, why, by_itself=True, changes=changes)
