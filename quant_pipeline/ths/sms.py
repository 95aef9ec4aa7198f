"""Login by SMS, in two steps: a code is sent to the account's number; the code opens the account."""

from __future__ import annotations

import re
import time

from quant_pipeline.language import told
from quant_pipeline.ths import cookies as jar
from quant_pipeline.ths.errors import Failure, ThsError, login_command, of_code
from quant_pipeline.ths.line import Line, json_of, unreadable
from quant_pipeline.ths.sealing import seal

_MOBILE = re.compile(r"1\d{10}")
_CODE = re.compile(r"\d{4,8}")


def number_of(written: str) -> str:
    """The eleven digits of a mobile number as people write it: +86 139-1234-5678. ThsError (refused) where it is none."""
    number = re.sub(r"^\+?86(?=1\d{10}$)", "", re.sub(r"[\s-]", "", written))
    if not _MOBILE.fullmatch(number):
        raise ThsError(Failure.REFUSED, told("this is no mobile number of the mainland: eleven digits that begin with 1"))
    return number


def send(line: Line, mobile: str) -> None:
    """Has the code sent; the line's jar belongs to the second step. ThsError: a slider that is asked for ends it."""
    line.hide(mobile)
    lock = seal(line)
    form = {
        "mobile": lock.sealed(mobile),
        "rsa_version": lock.version,
        "country_code": "86",
        "request_type": "login",
        "source": "pc_web",
        "ttype": "",
        "sdtis": "",
        "timestamp": str(int(time.time() * 1000)),
    }
    _accepted(line, "/smslogin/sendSms", form)


def check(line: Line, mobile: str, code: str) -> None:
    """Fills the line's jar with the cookies that the code opens. ThsError (code) where it is wrong or too old."""
    written = re.sub(r"\s", "", code)
    if not _CODE.fullmatch(written):
        raise ThsError(
            Failure.CODE,
            told(
                "a code has four to eight digits: give it again with `{command}`",
                command=login_command("sms --code", line.account),
            ),
        )
    line.hide(mobile, written)
    lock = seal(line)
    form = {
        "mobile": lock.sealed(mobile),
        "signcode": lock.sealed(written),
        "rsa_version": lock.version,
        "country_code": "86",
        "longLogin": "on",
        "request_type": "login",
        "source": "pc_web",
    }
    _accepted(line, "/smslogin/checkSms", form)
    if not all(line.cookies.get(name) for name in jar.NEEDED):
        raise unreadable()


def _accepted(line: Line, path: str, form: dict[str, str]) -> None:
    referer = line.hosts.upass + "/login"
    answer = json_of(line.post(line.hosts.upass + path, form, Referer=referer, X_Requested_With="XMLHttpRequest"))
    try:
        code = int(answer.get("errorcode", answer.get("errorCode")))  # type: ignore[arg-type]  # None is no number either
    except (TypeError, ValueError):
        raise unreadable() from None
    if code != 0:
        raise of_code(code, line.said(answer.get("errormsg", answer.get("errorMsg"))), line.account)
