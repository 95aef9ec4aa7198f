"""The framing of the BaoStock protocol: requests read, replies and error replies written, as bytes."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

PAGE = 2_000
"""Rows of a page; the client asks for the next one while a page has exactly so many."""
END = b"<![CDATA[]]>\n"
"""What every reply ends with."""
_VERSION = "00.9.40"
_SEPARATOR = "\x01"
_HEADER = 21
_ERROR = "04"

NOT_LOGGED_IN = "10001001"
WRONG_PASSWORD = "10001002"
TOO_PARALLEL = "10001011"
PARAMETERS = "10004006"
_MALFORMED = "10004019"
_UNKNOWN_TYPE = "10004020"
TEXTS: Mapping[str, str] = {
    NOT_LOGGED_IN: "用户未登录",
    WRONG_PASSWORD: "用户名或密码错误",
    "10001003": "获取用户信息失败",
    "10001004": "客户端版本号过期",
    "10001005": "账号登陆数达到上限",
    "10001006": "用户权限不足",
    "10001007": "需要登录激活",
    TOO_PARALLEL: "黑名单用户",
    "10001012": "APIKey格式不正确",
    "10002007": "网络接收错误",
    "10004001": "解析数据错误",
    "10004002": "gzip解压失败",
    PARAMETERS: "参数错误",
    "10004007": "起始日期格式不正确",
    "10004008": "截止日期格式不正确",
    "10004010": "日期格式不正确",
    "10004011": "无效的证券代码",
    "10004012": "无效的指标",
    "10004018": "指标重复",
    _MALFORMED: "消息格式不正确",
    _UNKNOWN_TYPE: "错误的消息类型",
    "10005001": "系统级别错误",
}
"""The service's words for its codes."""


class Refusal(Exception):
    """A request that is answered with an error code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"{code} {TEXTS.get(code, '')}")
        self.code = code


@dataclass(frozen=True)
class Api:
    """A call of the client: its name, the types of request and reply, and what a request says after method and user."""

    name: str
    request: str
    response: str
    parameters: tuple[str, ...]
    paged: bool = False
    compressed: bool = False


APIS: Mapping[str, Api] = {
    api.request: api
    for api in (
        Api("login", "00", "01", ("password", "api_key")),
        Api("logout", "02", "03", ("timestamp",)),
        Api("query_dividend_data", "13", "14", ("code", "year", "yearType"), paged=True),
        Api("query_adjust_factor", "15", "16", ("code", "start_date", "end_date"), paged=True),
        Api("query_trade_dates", "33", "34", ("start_date", "end_date"), paged=True),
        Api("query_all_stock", "35", "36", ("day",), paged=True),
        Api("query_stock_basic", "45", "46", ("code", "code_name"), paged=True),
        Api("query_hs300_stocks", "61", "62", ("date",), paged=True),
        Api("query_sz50_stocks", "63", "64", ("date",), paged=True),
        Api("query_zz500_stocks", "65", "66", ("date",), paged=True),
        Api(
            "query_history_k_data_plus",
            "95",
            "96",
            ("code", "fields", "start_date", "end_date", "frequency", "adjustflag"),
            paged=True,
            compressed=True,
        ),
        Api("query_daily_history_k_AStock", "98", "99", ("date",), compressed=True),
        Api("query_daily_adjust_factor", "9C", "9D", ("date",), compressed=True),
    )
}
"""The calls that are answered, by the type of their request."""


@dataclass(frozen=True)
class Request:
    """A request: who asks for what, and which page of it."""

    api: Api
    user: str
    parameters: Mapping[str, str]
    page: int = 1

    @property
    def logged(self) -> dict[str, str]:
        """What may be written down of it."""
        shown = {name: value for name, value in self.parameters.items() if name not in ("password", "api_key")}
        return shown | ({"page": str(self.page)} if self.api.paged else {})


def read_request(line: bytes) -> Request:
    """The request of a line: header, body, checksum. Refusal when it has not that form."""
    try:
        text = line.decode("utf-8").rstrip("\n")
        framed, _, checksum = text.rpartition(_SEPARATOR)
        if int(checksum) != zlib.crc32(framed.encode("utf-8")):
            raise Refusal(_MALFORMED)
        _, kind, length = framed[:_HEADER].split(_SEPARATOR)
        body = framed[_HEADER:]
        if int(length) != len(body):  # characters, not bytes
            raise Refusal(_MALFORMED)
    except ValueError:
        raise Refusal(_MALFORMED) from None
    if kind not in APIS:
        raise Refusal(_UNKNOWN_TYPE)
    api = APIS[kind]
    method, user, *rest = body.split(_SEPARATOR)
    page, rest = (rest[0], rest[2:]) if api.paged else ("1", rest)
    if method != api.name or len(rest) != len(api.parameters) or not page.isdigit():
        raise Refusal(PARAMETERS)
    return Request(api, user, dict(zip(api.parameters, rest, strict=True)), int(page))


def accepted(request: Request) -> bytes:
    """The reply to a login or a logout."""
    return _plain(request.api.response, ["0", "success", request.api.name, request.user])


def refused(code: str, request: Request | None = None) -> bytes:
    """The error reply with the code's text."""
    asked = [request.api.name, request.user] if request else []
    return _plain(_ERROR, [code, TEXTS.get(code, "系统级别错误"), *asked])


def answered(request: Request, fields: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """The reply to a query: one page of rows, or all of them where the call has no pages."""
    api = request.api
    data = orjson.dumps({"record": rows}).decode("utf-8")
    body = ["0", "success", api.name, request.user]
    if api.paged:
        body += [str(request.page), str(PAGE), data, *request.parameters.values()]
    else:
        body.append(data)
    if "fields" not in api.parameters:
        body.append(",".join(fields))
    if not api.compressed:
        return _plain(api.response, body)
    packed = zlib.compress(_SEPARATOR.join(body).encode("utf-8"), level=1)
    return _header(api.response, len(packed)).encode("ascii") + packed + END


def _plain(kind: str, body: Sequence[str]) -> bytes:
    text = _SEPARATOR.join(body)
    framed = (_header(kind, len(text)) + text).encode("utf-8")
    return framed + f"{_SEPARATOR}{zlib.crc32(framed)}".encode("ascii") + END


def _header(kind: str, length: int) -> str:
    return f"{_VERSION}{_SEPARATOR}{kind}{_SEPARATOR}{length:010d}"
