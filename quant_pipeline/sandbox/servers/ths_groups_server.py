"""同花顺's watchlists over HTTP: the groups of an account with their version (host ugc), and its default list (host t).

The paths, the envelope, the version that every write must name, and the status codes 0, 1 "outdated", -200, -300, -10003 and
401 are known from public code. What is not known, and made up here: the words, the code and size of a full group, the place
of a new code in it, the codes of the default list's refusals.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from quant_pipeline.sandbox.control.calls import Call, CallLog
from quant_pipeline.sandbox.control.faults import Fault, Faults, Kind
from quant_pipeline.sandbox.servers.faulty_transport import interrupt

SERVER = "ths_groups"
UGC_PREFIX, T_PREFIX = "/ths/ugc", "/ths/t"
FULL = 200
"""Codes that a group may hold."""
_GROUP, _CONTENT = "/optdata/selfgroup/open/api/group/v1", "/optdata/selfgroup/open/api/content/v1"
_OK, _REFUSED, _THERE, _NOT_THERE, _BAD_CODE, _FULL, _UNKNOWN_GROUP, _EXPIRED = 0, 1, -200, -300, -10003, -10009, -10001, 401
_TEXTS = {
    _OK: "ok",
    _REFUSED: "version is outdated",
    _THERE: "股票已存在",
    _NOT_THERE: "股票不存在",
    _BAD_CODE: "股票代码错误",
    _FULL: "分组内股票数量已达上限",
    _UNKNOWN_GROUP: "分组不存在",
    _EXPIRED: "登录已失效，请重新登录",
}
_MARKETS = {
    **dict.fromkeys(("17",), r"(60|688|689|900|11|604)\d+"),
    "18": r"68[89]\d{3}",
    "16": r"(1[AB]\d{4}|\d{6})",
    "20": r"5\d{5}",
    "32": r"399\d{3}",
    "33": r"(00|30|20|12)\d+",
    "36": r"15\d{4}",
    "48": r"88\d{4}",
    "71": r"(43|8|92)\d+",
    "151": r"(43|8|92)\d+",
    "120": r"[0-9H]\d{5}",
    "177": r"HK\d{4}",
    "185": r"[A-Z]+",
}
"""Market id -> the codes that it takes. The sandbox's own, as a second opinion."""
SignedIn = Callable[[Mapping[str, str]], str | None]
Entry = tuple[str, str]
"""A code and its market id."""


@dataclass
class Group:
    """A group of an account; ids that begin with 1_ are dynamic: nobody can write into them."""

    id: str
    name: str
    content: list[Entry] = field(default_factory=list)


@dataclass
class Account:
    """What one user has: every write makes a new version."""

    version: int = 1
    groups: list[Group] = field(default_factory=list)
    default: list[Entry] = field(default_factory=list)

    def group(self, number: str) -> Group | None:
        return next((each for each in self.groups if each.id == number), None)


def signed_in(cookies: Mapping[str, str]) -> str | None:
    """The user of the cookies: those with a ticket that begins with "sandbox" are let in."""
    return cookies.get("userid") or None if cookies.get("ticket", "").startswith("sandbox") else None


class ThsGroupsServer:
    """The groups of every user who is signed in, as `who` finds them. `store`: a file that keeps them over restarts."""

    def __init__(self, calls: CallLog, faults: Faults, *, who: SignedIn = signed_in, store: Path | None = None) -> None:
        self._calls, self._faults, self._who, self._store = calls, faults, who, store
        self._accounts: dict[str, Account] = {}
        if store is not None and store.exists():
            self._accounts = {user: _account(each) for user, each in orjson.loads(store.read_bytes()).items()}

    def routes(self) -> list[web.RouteDef]:
        ugc, t = UGC_PREFIX, f"{T_PREFIX}/newcircle/group"
        return [
            web.get(f"{ugc}{_GROUP}/query", self._of_ugc("query", self._query), allow_head=False),
            web.post(f"{ugc}{_GROUP}/add", self._of_ugc("add_group", self._add_group)),
            web.post(f"{ugc}{_GROUP}/delete", self._of_ugc("delete_group", self._delete_group)),
            web.post(f"{ugc}{_CONTENT}/add", self._of_ugc("add", self._add)),
            web.post(f"{ugc}{_CONTENT}/delete", self._of_ugc("delete", self._delete)),
            web.get(f"{t}/getSelfStockWithMarket/", self._of_t("default", self._default), allow_head=False),
            web.get(f"{t}/modifySelfStock/", self._of_t("modify", self._modify), allow_head=False),
        ]

    def account(self, user: str) -> Account:
        """What the user has; a new one has one dynamic group."""
        return self._accounts.setdefault(user, Account(groups=[Group("1_1", "涨停板", [("600519", "17")])]))

    def arrange(self, user: str, arranged: Mapping[str, Any]) -> None:
        """Sets an account from outside, as another device of its owner would: a new version."""
        version = self.account(user).version
        self._accounts[user] = _account({"default": [], **arranged, "version": version + 1})
        self._keep()

    def shown(self, user: str) -> dict[str, Any]:
        return asdict(self.account(user))

    def _of_ugc(
        self, api: str, act: Callable[[Account, Mapping[str, str]], tuple[int, Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            asked = {**request.query, **{name: str(value) for name, value in (await request.post()).items()}}
            call, fault, user = self._arrived(api, request, asked)
            if fault is not None:
                interrupted = await interrupt(fault, request)
                if interrupted is not None:
                    return interrupted
                if fault.kind is Kind.CODE:
                    return _envelope(int(fault.code), None)
            if user is None or (fault is not None and fault.kind is Kind.TOKEN):
                call.answer = "token"
                return _envelope(_EXPIRED, None)
            code, data = act(self.account(user), asked)
            if fault is None:
                call.answer = "ok" if code == _OK else str(code)
            self._keep()
            if fault is not None and fault.kind is Kind.HALF and request.transport is not None:
                request.transport.abort()
            return _envelope(code, data)

        return answer

    def _of_t(
        self, api: str, act: Callable[[Account, Mapping[str, str]], tuple[int, str, Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            asked = dict(request.query)
            call, fault, user = self._arrived(api, request, asked)
            if fault is not None:
                interrupted = await interrupt(fault, request)
                if interrupted is not None:
                    return interrupted
            if user is None or (fault is not None and fault.kind is Kind.TOKEN):
                call.answer = "token"
                return _plain(-1, "未登录或登录失效", None)
            code, text, result = act(self.account(user), asked)
            if fault is None:
                call.answer = "ok" if code == _OK else str(code)
            self._keep()
            return _plain(code, text, result)

        return answer

    def _arrived(self, api: str, request: web.Request, asked: Mapping[str, str]) -> tuple[Call, Fault | None, str | None]:
        """The call in the log, the fault that is due, and whose cookies it brings."""
        call = self._calls.arrival(SERVER, api, dict(asked))
        fault = self._faults.take(SERVER, api)
        if fault is not None:
            call.answer = fault.kind.value
        return call, fault, self._who(request.cookies)

    def _query(self, account: Account, asked: Mapping[str, str]) -> tuple[int, Any]:
        types = asked.get("types", "0").split(",")
        groups = [
            {"id": each.id, "name": each.name, "content": _written(each.content), "type": each.id[0]}
            for each in account.groups
            if each.id[0] in types
        ]
        return _OK, {"version": account.version, "group_list": groups}

    def _add_group(self, account: Account, asked: Mapping[str, str]) -> tuple[int, Any]:
        if stale := _stale(account, asked):
            return stale
        numbers = [int(each.id[2:]) for each in account.groups if each.id.startswith("0_")]
        account.groups.append(Group(f"0_{max(numbers, default=0) + 1}", asked.get("name", "").strip()))
        return _newer(account)

    def _delete_group(self, account: Account, asked: Mapping[str, str]) -> tuple[int, Any]:
        if stale := _stale(account, asked):
            return stale
        gone = set(asked.get("ids", "").split(","))
        account.groups = [each for each in account.groups if each.id not in gone]
        return _newer(account)

    def _add(self, account: Account, asked: Mapping[str, str]) -> tuple[int, Any]:
        """All of the codes or none."""
        refused, group, entries = _wanted(account, asked)
        if refused is not None or group is None:
            return refused or (_UNKNOWN_GROUP, None)
        if any(entry in group.content for entry in entries):
            return _THERE, None
        if len(group.content) + len(entries) > FULL:
            return _FULL, None
        group.content += entries
        return _newer(account)

    def _delete(self, account: Account, asked: Mapping[str, str]) -> tuple[int, Any]:
        refused, group, entries = _wanted(account, asked)
        if refused is not None or group is None:
            return refused or (_UNKNOWN_GROUP, None)
        if any(entry not in group.content for entry in entries):
            return _NOT_THERE, None
        group.content = [each for each in group.content if each not in entries]
        return _newer(account)

    def _default(self, account: Account, _asked: Mapping[str, str]) -> tuple[int, str, Any]:
        return _OK, "", [{"code": code, "marketid": market} for code, market in account.default]

    def _modify(self, account: Account, asked: Mapping[str, str]) -> tuple[int, str, Any]:
        code, _, market = asked.get("stockcode", "").partition("_")
        entry, op = (code, market), asked.get("op")
        if not _fits(entry) or op not in ("add", "del"):
            return -2, "股票代码错误", None
        if op == "add" and entry not in account.default:
            account.default.append(entry)
        if op == "del":
            account.default = [each for each in account.default if each != entry]
        return _OK, "修改成功", None

    def _keep(self) -> None:
        if self._store is not None:
            self._store.write_bytes(orjson.dumps({user: asdict(each) for user, each in self._accounts.items()}))


def _account(stored: Mapping[str, Any]) -> Account:
    groups = [Group(each["id"], each["name"], [_entry(*entry) for entry in each["content"]]) for each in stored["groups"]]
    return Account(int(stored["version"]), groups, [_entry(*entry) for entry in stored["default"]])


def _entry(code: str, market: str) -> Entry:
    return code, market


def _stale(account: Account, asked: Mapping[str, str]) -> tuple[int, Any] | None:
    return None if asked.get("version") == str(account.version) else (_REFUSED, {"version": account.version})


def _newer(account: Account) -> tuple[int, Any]:
    account.version += 1
    return _OK, {"version": account.version}


def _wanted(account: Account, asked: Mapping[str, str]) -> tuple[tuple[int, Any] | None, Group | None, list[Entry]]:
    """The refusal of a write, or the group and the entries that it is of."""
    if stale := _stale(account, asked):
        return stale, None, []
    group = account.group(asked.get("id", ""))
    if group is None or group.id.startswith("1_"):
        return (_UNKNOWN_GROUP, None), None, []
    codes, _, markets = asked.get("content", "").partition(",")
    entries = list(zip(_parts(codes), _parts(markets), strict=False))
    if not entries or len(_parts(codes)) != len(_parts(markets)) or asked.get("num") != str(len(entries)):
        return (_BAD_CODE, None), None, []
    if not all(map(_fits, entries)):
        return (_BAD_CODE, None), None, []
    return None, group, entries


def _parts(text: str) -> list[str]:
    return [part for part in text.split("|") if part]


def _fits(entry: Entry) -> bool:
    code, market = entry
    return market in _MARKETS and re.fullmatch(_MARKETS[market], code) is not None


def _written(content: list[Entry]) -> str:
    """As the phone's groups come: 600519|000001|,17|33|"""
    return f"{''.join(f'{code}|' for code, _ in content)},{''.join(f'{market}|' for _, market in content)}" if content else ""


def _envelope(code: int, data: Any) -> web.Response:
    return _json({"status_code": code, "status_msg": _TEXTS.get(code, "操作失败"), "data": data})


def _plain(code: int, text: str, result: Any) -> web.Response:
    return _json({"errorCode": code, "errorMsg": text, "result": result})


def _json(content: Any) -> web.Response:
    return web.Response(body=orjson.dumps(content), content_type="application/json", charset="utf-8")
