"""Login by QR code: shown to a person, polled until the phone has confirmed it, made anew when it has expired."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from quant_pipeline.language import told
from quant_pipeline.ths import cookies as jar
from quant_pipeline.ths import password
from quant_pipeline.ths.errors import Failure, ThsError, login_command
from quant_pipeline.ths.line import Line, json_of, unreadable

LIFE = 120.0
"""Seconds for which a code can be scanned."""
POLL = 1.5
"""Seconds between two questions."""
CODES = 3
"""How many codes are shown, one after the other, before the login is given up."""
_SCANNED_ADDRESS = "http://mobile.10jqka.com.cn/?source=PC&qrid={qrid}"
_HEADERS = {"X_Requested_With": "XMLHttpRequest"}


class _Status(IntEnum):
    EXPIRED = 0
    WAITING = 1
    SCANNED = 2
    CONFIRMED = 3


@dataclass(frozen=True)
class Shown:
    """A code that is to be scanned with THS's app; `number`: the how manieth of this login."""

    address: str
    number: int


Look = Callable[[Shown | str], None]
"""Is told each code, and then what became of it: "scanned", "expired"."""
_looks: ContextVar[Look | None] = ContextVar("looks", default=None)


@contextmanager
def looking(look: Look) -> Iterator[None]:
    """Within it `look` is told of the codes too: a terminal's view of a login that runs as a job in this process."""
    token = _looks.set(look)
    try:
        yield
    finally:
        _looks.reset(token)


def log_in(line: Line, device: str, show: Look) -> None:
    """Fills the line's jar with the cookies of whoever confirms a code. ThsError (not confirmed) after `CODES` of them."""
    beside = _looks.get()

    def tell(news: Shown | str) -> None:
        show(news)
        if beside is not None:
            beside(news)

    for number in range(1, CODES + 1):
        if _one(line, device, number, tell):
            return
        tell("expired")
    command = login_command("qr", line.account)
    text = told("nobody confirmed the QR code ({count} were shown): run `{command}` again", count=CODES, command=command)
    raise ThsError(Failure.NOT_CONFIRMED, text)


def _one(line: Line, device: str, number: int, tell: Look) -> bool:
    """Whether this code was confirmed; False where it has expired."""
    made = json_of(line.get(line.hosts.upass + "/scan/creatCode"))
    qrid = made.get("qrid")
    if str(made.get("errorCode", 0)) != "0" or not isinstance(qrid, str) or not qrid:
        raise unreadable()
    tell(Shown(_SCANNED_ADDRESS.format(qrid=qrid), number))
    ends = time.monotonic() + LIFE + POLL
    scanned, had_time = False, False
    while time.monotonic() < ends:
        answer = _poll(line, qrid, scanned)
        status = _status_of(answer)
        # One program takes "expired": 0 of a waiting code for its end; it is one where it was something else before.
        over = answer.get("expired") is not None and str(answer["expired"]) == "0"
        if status is _Status.EXPIRED or (status is _Status.WAITING and over and had_time):
            return False
        had_time = had_time or (answer.get("expired") is not None and not over)
        if status is _Status.CONFIRMED:
            _collect(line, answer, device)
            return True
        if status is _Status.SCANNED and not scanned:
            scanned = True
            tell("scanned")
        time.sleep(POLL)
    return False


def _poll(line: Line, qrid: str, scanned: bool) -> dict[str, Any]:
    form = {
        "qrid": qrid,
        "state": "2" if scanned else "1",
        "source": "pc_web",
        "page_source": "web_screen",
        "request_type": "login",
    }
    return json_of(line.post(line.hosts.upass + "/scan/getInfoNew", form, Referer=line.hosts.upass + "/login", **_HEADERS))


def _status_of(answer: dict[str, Any]) -> _Status:
    try:
        return _Status(int(answer["status"]))
    except (KeyError, TypeError, ValueError):
        raise unreadable() from None


def _collect(line: Line, answer: dict[str, Any], device: str) -> None:
    """The cookies of a confirmed code: they are there, on the page that it leads to, or to be had for what it brings."""
    if _complete(line):
        return
    onward = next((str(answer[name]) for name in ("redirect", "redirect_url", "url", "location") if answer.get(name)), None)
    if onward is not None:
        line.visit(onward)
    if not _complete(line) and answer.get("account") and answer.get("password"):
        password.log_in(line, str(answer["account"]), str(answer["password"]), device)
    if not _complete(line):
        raise unreadable()


def _complete(line: Line) -> bool:
    return all(line.cookies.get(name) for name in jar.NEEDED)
