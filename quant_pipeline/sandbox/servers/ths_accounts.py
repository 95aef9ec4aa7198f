"""The accounts of the simulated 同花顺: who logs in how, the cookies that come of it, and until when they hold.

Names and passwords that begin with "sandbox" are accepted, and every mobile number. What a phone would do (scan, confirm)
and when cookies end is ordered from the control; by itself the phone of the sandbox scans and confirms after some polls.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import orjson

from quant_pipeline.market import clock

COOKIE_LIFE = dt.timedelta(days=7)
CODE_LIFE = dt.timedelta(minutes=5)
QR_LIFE = dt.timedelta(seconds=120)
_TICKET = "sandbox-issued-"
_SCANNED_AFTER, _CONFIRMED_AFTER = 2, 4
"""Polls after which the phone of the sandbox acts by itself."""


class Scan(StrEnum):
    """Where a QR code is."""

    EXPIRED = "expired"
    WAITING = "waiting"
    SCANNED = "scanned"
    CONFIRMED = "confirmed"


@dataclass(frozen=True)
class User:
    """An account, as its owner sees it."""

    user_id: str
    nickname: str


@dataclass
class Qr:
    """A QR code that was asked for."""

    made_at: dt.datetime
    state: Scan = Scan.WAITING
    polls: int = 0


@dataclass
class _Ticket:
    user_id: str
    nickname: str
    expires_at: str


@dataclass
class _Code:
    text: str
    made_at: dt.datetime


@dataclass
class Phone:
    """What was ordered of the owner's phone, and of the server's mood."""

    acts: Literal["by_itself", "by_order"] = "by_itself"
    brings: Literal["cookies", "redirect", "credential"] = "cookies"
    """What a confirmed QR code's answer holds."""
    slider: bool = False
    """Whether an SMS is only sent to who solves a slider."""


@dataclass
class ThsAccounts:
    """The state of all THS servers of one sandbox. `store` keeps the cookies over restarts; None: in memory only."""

    store: Path | None = None
    phone: Phone = field(default_factory=Phone)
    codes: dict[str, _Code] = field(default_factory=dict)
    """Mobile number -> the code that was sent to it."""
    qrs: dict[str, Qr] = field(default_factory=dict)
    sent: int = 0
    _tickets: dict[str, _Ticket] = field(default_factory=dict)
    _client_sessions: dict[str, User] = field(default_factory=dict)
    _credentials: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.store is not None and self.store.exists():
            self._tickets = {ticket: _Ticket(**held) for ticket, held in orjson.loads(self.store.read_bytes()).items()}

    def user_of(self, cookies: Mapping[str, str]) -> User | None:
        """Whose cookies these are; None where they are nobody's, or have ended."""
        held = self._tickets.get(cookies.get("ticket", ""))
        if held is None or held.user_id != cookies.get("userid"):
            return None
        return User(held.user_id, held.nickname) if dt.datetime.fromisoformat(held.expires_at) > clock.now() else None

    def signed_in(self, cookies: Mapping[str, str]) -> str | None:
        """The user id of the cookies, as the other servers let them in: a ticket that was made up elsewhere and begins with
        "sandbox" will do; one that was issued here has to hold."""
        ticket = cookies.get("ticket", "")
        if ticket.startswith("sandbox") and not ticket.startswith(_TICKET):
            return cookies.get("userid") or None
        user = self.user_of(cookies)
        return None if user is None else user.user_id

    def issue(self, user: User) -> dict[str, str]:
        """Cookies for the user, for a week."""
        expires_at = clock.now() + COOKIE_LIFE
        ticket = f"{_TICKET}{secrets.token_hex(16)}"
        self._tickets[ticket] = _Ticket(user.user_id, user.nickname, expires_at.isoformat())
        self._keep()
        return {
            "user": base64.b64encode(f"{user.nickname}::{user.user_id}:{ticket}".encode()).decode(),
            "userid": user.user_id,
            "u_name": quote(user.nickname),
            "escapename": quote(user.nickname),
            "ticket": ticket,
            "user_status": "0",
            "utk": secrets.token_hex(16),
            "sess_tk": _jwt({"sub": user.user_id, "exp": int(expires_at.timestamp()), "jti": secrets.token_hex(8)}),
            "v": secrets.token_urlsafe(24),
        }

    def expire(self) -> int:
        """Ends all cookies now; how many there were."""
        count = len(self._tickets)
        self._tickets.clear()
        self._keep()
        return count

    def by_password(self, name: str, password: str) -> User | None:
        """The user, where name and password are right: a QR code's credential too."""
        if self._credentials.get(name) == password:
            return _user(name)
        return _user(name) if name.startswith("sandbox") and password.startswith("sandbox") else None

    def begin_client_session(self, user: User) -> str:
        """A client's session, which cookies can be had for."""
        session = secrets.token_hex(16)
        self._client_sessions[session] = user
        return session

    def of_client_session(self, session: str) -> User | None:
        return self._client_sessions.get(session)

    def new_qr(self) -> str:
        qrid = f"usk_{secrets.token_hex(16)}"
        self.qrs[qrid] = Qr(clock.now())
        return qrid

    def poll(self, qrid: str) -> Scan:
        """Where the QR code is now; one that waits for too long ends."""
        qr = self.qrs.get(qrid)
        if qr is None:
            return Scan.EXPIRED
        qr.polls += 1
        if qr.state is not Scan.CONFIRMED and clock.now() - qr.made_at > QR_LIFE:
            qr.state = Scan.EXPIRED
        elif self.phone.acts == "by_itself" and qr.state in (Scan.WAITING, Scan.SCANNED) and qr.polls > _SCANNED_AFTER:
            qr.state = Scan.CONFIRMED if qr.polls > _CONFIRMED_AFTER else Scan.SCANNED
        return qr.state

    def scan(self, state: Scan) -> str | None:
        """The phone does so with the QR code that was asked for last; its id, None where there is none."""
        qrid = next(reversed(self.qrs), None)
        if qrid is not None:
            self.qrs[qrid].state = state
        return qrid

    def owner(self) -> User:
        """Whose phone it is."""
        return _user("sandbox")

    def credential(self) -> tuple[str, str]:
        """Name and reusable password, as a confirmed QR code may bring them."""
        password = secrets.token_hex(16)
        self._credentials["sandbox"] = password
        return "sandbox", password

    def send_code(self, mobile: str) -> str:
        """Sends a code to the number."""
        self.sent += 1
        self.codes[mobile] = _Code(f"{secrets.randbelow(1_000_000):06}", clock.now())
        return self.codes[mobile].text

    def by_code(self, mobile: str, code: str) -> User | None:
        """The user of the number, where the code is right; it holds once, for five minutes."""
        held = self.codes.get(mobile)
        if held is None or held.text != code or clock.now() - held.made_at > CODE_LIFE:
            return None
        del self.codes[mobile]
        return _user(mobile)

    def told(self) -> dict[str, Any]:
        """What the control tells: the phone, QR codes, SMS, and how many cookies hold."""
        return {
            "phone": asdict(self.phone),
            "qrs": [{"qrid": qrid, "state": qr.state, "polls": qr.polls} for qrid, qr in self.qrs.items()],
            "codes": {mobile: code.text for mobile, code in self.codes.items()},
            "sent": self.sent,
            "sessions": len(self._tickets),
        }

    def _keep(self) -> None:
        if self.store is not None:
            self.store.write_bytes(orjson.dumps({ticket: asdict(held) for ticket, held in self._tickets.items()}))


def _user(name: str) -> User:
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10**8
    return User(f"7{number:08}", f"沙盒用户{number % 1000:03}")


def _jwt(claims: Mapping[str, Any]) -> str:
    parts = (orjson.dumps(part) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    signed = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    return f"{signed}.{secrets.token_urlsafe(32)}"
