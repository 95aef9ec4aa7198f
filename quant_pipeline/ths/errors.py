"""Why THS did not do what it was asked for, by class and in words; never a secret."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import Any, Final

from quant_pipeline.language import marked, told


class Failure(StrEnum):
    """What a failure means for what comes next."""

    EXPIRED = "expired"
    """The cookies are not accepted any more: log in again."""
    REFUSED = "refused"
    """Name, password, number or cookies are wrong: the same again would be refused again."""
    CODE = "code"
    """The SMS code is wrong or too old."""
    SLIDER = "slider"
    """A slider is asked for: a person has to log in another way."""
    ANOTHER_WAY = "another_way"
    """This way of logging in is not open to the account, or not now."""
    NOT_CONFIRMED = "not_confirmed"
    """Nobody confirmed the QR code."""
    UNREACHABLE = "unreachable"
    """No answer, or a gateway's: try again later."""
    UNREADABLE = "unreadable"
    """An answer that is none of the protocol: it has changed, or this is another server."""
    TAKEN = "taken"
    """Another process logs the account in at this moment."""
    UNKNOWN = "unknown"
    """There is no such account here."""

    @property
    def passing(self) -> bool:
        """Whether the same may go well later, without a person."""
        return self in (Failure.UNREACHABLE, Failure.UNREADABLE)


class ThsError(RuntimeError):
    """THS refused or did not answer; the text says what to do."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure


DEFAULT: Final = "default"
"""The name of a user's only account."""


def login_command(method: str, account: str) -> str:
    """The command that logs that account in: `method` as `qr` or `sms --code`."""
    return f"quant-pipeline ths login {method}" + ("" if account == DEFAULT else f" --account {shlex.quote(account)}")


def of_code(code: int, text: str, account: str = DEFAULT) -> ThsError:
    """What a web login's error code means; `text`: the server's own words, without secrets."""
    failure, method, advice = _CODES.get(code, (Failure.REFUSED, "qr", _OTHER))
    command, other = login_command(method, account), login_command("cookie", account)
    return ThsError(failure, told(advice, code=code, text=text or "-", command=command, other=other))


_OTHER = marked("THS refused: {text} ({code})")
_CODES: dict[int, tuple[Failure, str, str]] = {
    -11400: (
        Failure.SLIDER,
        "qr",
        marked(
            "THS asks for a slider ({code}), which only a person can move and nothing here does: log in with "
            "`{command}`, or import your browser's cookies with `{other}`"
        ),
    ),
    -10510: (
        Failure.ANOTHER_WAY,
        "sms",
        marked("THS wants an SMS for this login ({code}): log in with `{command}`"),
    ),
    -11032: (
        Failure.ANOTHER_WAY,
        "qr",
        marked("THS holds this login for unusual ({code}, {text}): begin again later, or with `{command}`"),
    ),
    -11043: (
        Failure.ANOTHER_WAY,
        "qr",
        marked("THS does not take this way of logging in ({code}, {text}): use `{command}`"),
    ),
    -10500: (
        Failure.CODE,
        "sms",
        marked("the code is wrong or too old ({code}, {text}): ask for another one with `{command}`"),
    ),
}
"""Code -> what it means, by which way one then logs in, and the words."""


def says_expired(status: int, body: Any) -> bool:
    """Whether an answer of any THS server says that the cookies are not accepted: `status` is HTTP's, `body` its JSON.

    HTTP 401; `status_code` 401 (ugc); an `errorCode` other than 0 whose text speaks of the login (t).
    """
    if status == 401:
        return True
    if not isinstance(body, dict):
        return False
    if str(body.get("status_code")) == "401":
        return True
    code = body.get("errorCode", body.get("errorcode", body.get("status_code", 0)))
    words = " ".join(str(body.get(name, "")) for name in ("errorMsg", "errormsg", "status_msg", "msg"))
    return str(code) != "0" and any(word in words for word in ("登录", "失效"))
