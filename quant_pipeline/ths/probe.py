"""Who is logged in: the one question that tells whether cookies hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quant_pipeline.language import told
from quant_pipeline.ths import cookies as jar
from quant_pipeline.ths.errors import Failure, ThsError, says_expired
from quant_pipeline.ths.line import Line, json_of, unreadable

_PATH = "/user_center/open/api/user/v1/simple_info"
_IDS, _NAMES = ("user_id", "userid", "userId", "uid"), ("nickname", "nick_name", "nickName", "name", "user_name")


@dataclass(frozen=True)
class Who:
    """The account as THS knows it."""

    user_id: str
    nickname: str


def who(line: Line) -> Who:
    """Whose cookies the line has. ThsError: expired where they are not accepted, else what went wrong; it says nothing then."""
    answer = line.get(line.hosts.t + _PATH)
    if answer.status_code == 401:
        raise _expired("HTTP 401")
    content = json_of(answer)
    code = str(content.get("status_code", content.get("errorCode", "")))
    data = content.get("data", content.get("result"))
    if code == "0" and isinstance(data, dict) and data:
        return _mapped(data, line.cookies)
    if code not in ("", "0") or says_expired(answer.status_code, content):
        words = line.said(content.get("status_msg", content.get("errorMsg")))
        raise _expired(f"{words} {code}")
    raise unreadable()  # 0 with nothing in it: neither yes nor no


def _mapped(data: Mapping[str, Any], cookies: Mapping[str, str]) -> Who:
    user_id = next((str(data[name]) for name in _IDS if data.get(name)), cookies.get("userid", ""))
    return Who(user_id, next((str(data[name]) for name in _NAMES if data.get(name)), jar.nickname(cookies)))


def _expired(why: str) -> ThsError:
    return ThsError(Failure.EXPIRED, told("THS does not accept the cookies any more ({why})", why=why.strip()))
