"""The groups of a 同花顺 account over HTTP: looked at, made, added to and taken from, a code at a time.

Every write names the version that was read last; a version that is outdated is read anew. The interface that replaces a whole
list is never called: a wrong cookie or an empty list would wipe it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from quant_pipeline.language import marked, told
from quant_pipeline.ths.errors import Failure, ThsError, login_command, says_expired
from quant_pipeline.ths.hosts import Hosts
from quant_pipeline.ths.line import Line
from quant_pipeline.ths.market_ids import Entry, alternatives

DEFAULT: Final = "default"
DEFAULT_NAMES: Final = ("我的自选", "自选股", "默认自选")
"""Names of the default list, which is no group and has a door of its own; the first is the phone's."""
_GROUPS, _CONTENT = "/optdata/selfgroup/open/api/group/v1", "/optdata/selfgroup/open/api/content/v1"
_DEFAULT_LIST = "/newcircle/group"
_FROM = "sjcg_gphone"
_AGENT = "Hexin_Gphone/11.28.03 (Royal Flush) hxtheme/0 okhttp/3.14.9"
"""The phone's, which alone is answered."""
_OK, _REFUSED, _THERE, _GONE, _BAD_CODE = 0, 1, -200, -300, -10003
_ATTEMPTS = 4
"""How often a write is tried whose version was outdated."""
_OUTDATED = re.compile(r"outdated|version|版本", re.IGNORECASE)
_ANOTHER_FORM = marked("THS answered in another form than its watchlists have: its interface may have changed")
_LOST = 3
"""Codes in a row that fail alike (no answer, a full group), after which the rest is not tried: but not of wrong codes."""


class SessionExpired(ThsError):
    """The login is over: `answer` is what THS said."""

    def __init__(self, answer: str, account: str) -> None:
        command = login_command("qr", account)
        super().__init__(
            Failure.EXPIRED,
            told("the THS login has expired ({answer}): log in again with `{command}`", answer=answer, command=command),
        )
        self.answer = answer


class Refused(ThsError):
    """THS refuses a write, with its code and in its words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(Failure.REFUSED, told("THS refused: {code} {words}", code=code, words=words))
        self.code, self.words = code, words


class LoggedIn(Protocol):
    """What is needed of a session: whose it is, and its cookies."""

    @property
    def account(self) -> str: ...

    @property
    def cookies(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Group:
    """A group with what stands in it, the first on top. Dynamic ones (1_…) fill themselves and cannot be written into."""

    id: str
    name: str
    entries: tuple[Entry, ...] = ()

    @property
    def dynamic(self) -> bool:
        return self.id.startswith("1_")


class Outcome(StrEnum):
    """What became of a code."""

    DONE = "done"
    THERE = "there"
    GONE = "gone"
    REFUSED = "refused"


@dataclass(frozen=True)
class Became:
    """What became of an entry; `said`: THS's words, where it refused it."""

    entry: Entry
    outcome: Outcome
    said: str = ""


class Groups:
    """The groups of the account that the session is of."""

    def __init__(self, session: LoggedIn, hosts: Hosts) -> None:
        self._line, self._hosts = Line(hosts, session.cookies, account=session.account), hosts
        self._version: str | None = None

    def all(self) -> list[Group]:
        """Every group but the default list. SessionExpired, ThsError."""
        data = self._ugc("GET", f"{_GROUPS}/query", {"from": _FROM, "types": "0,1"})
        if not isinstance(data, Mapping) or data.get("version") is None or not isinstance(data.get("group_list"), list):
            raise ThsError(Failure.UNREADABLE, told("the answer of THS has no groups and no version: nothing was changed"))
        self._version = str(data["version"])
        return [_group(each) for each in data["group_list"]]

    def default(self) -> Group:
        """The default list. SessionExpired, ThsError."""
        result = self._t("getSelfStockWithMarket/", {})
        if not isinstance(result, list):
            raise ThsError(Failure.UNREADABLE, told("the answer of THS has no default list: nothing was changed"))
        entries = [Entry(str(each["code"]), str(each["marketid"])) for each in result if {"code", "marketid"} <= set(each)]
        return Group(DEFAULT, DEFAULT_NAMES[0], tuple(entries))

    def read(self, number: str) -> Group | None:
        """The group as it is now; None where there is none of this id."""
        if number == DEFAULT:
            return self.default()
        return next((each for each in self.all() if each.id == number), None)

    def make(self, name: str) -> Group:
        """A new group of that name. ThsError where THS makes none."""
        before = {each.id for each in self.all()}
        self._write(f"{_GROUPS}/add", {"name": name, "type": "0"})
        made = [each for each in self.all() if each.id not in before]
        found = [each for each in made if each.name.strip() == name] or made
        if len(found) != 1:
            words = told("THS was asked to make the group {name}, and has none of that name afterwards", name=name)
            raise ThsError(Failure.UNREADABLE, words)
        return found[0]

    def add(self, group: Group, entries: Sequence[Entry]) -> Iterator[Became]:
        """Puts the entries in, one after the other, and tells of each as it comes: one that THS refuses, or does not answer,
        does not stop the others. SessionExpired."""
        return self._each(group, entries, "add")

    def remove(self, group: Group, entries: Sequence[Entry]) -> Iterator[Became]:
        """Takes the entries out, as `add`."""
        return self._each(group, entries, "delete")

    def _each(self, group: Group, entries: Sequence[Entry], action: str) -> Iterator[Became]:
        failed, said = 0, ""
        for entry in entries:
            if failed >= _LOST:
                yield Became(entry, Outcome.REFUSED, said)
                continue
            try:
                became = self._one(group, entry, action)
            except SessionExpired:
                raise
            except ThsError as error:
                became = Became(entry, Outcome.REFUSED, str(error))
            again = became.said == said and not became.said.startswith(str(_BAD_CODE))
            failed = 0 if became.outcome is not Outcome.REFUSED else failed + 1 if again else 1
            said = became.said
            yield became

    def _one(self, group: Group, entry: Entry, action: str) -> Became:
        refused = ""
        for written in (entry, *(alternatives(entry) if action == "add" else ())):
            try:
                self._changed(group, written, action)
            except Refused as error:
                if error.code == _THERE and action == "add":
                    return Became(written, Outcome.THERE)
                if error.code == _GONE and action == "delete":
                    return Became(written, Outcome.GONE)
                refused = refused or f"{error.code} {error.words}"
                if error.code != _BAD_CODE:
                    break
            else:
                return Became(written, Outcome.DONE)
        return Became(entry, Outcome.REFUSED, refused)

    def _changed(self, group: Group, entry: Entry, action: str) -> None:
        if group.id == DEFAULT:
            op = "add" if action == "add" else "del"
            self._t("modifySelfStock/", {"op": op, "stockcode": f"{entry.code}_{entry.market}"})
        else:
            self._write(f"{_CONTENT}/{action}", {"id": group.id, "content": str(entry), "num": "1"})

    def _write(self, path: str, fields: Mapping[str, str]) -> None:
        """Refused; a version that is outdated is read anew, and the write tried again."""
        for attempt in range(1, _ATTEMPTS + 1):
            if self._version is None:
                self.all()
            try:
                data = self._ugc("POST", path, {**fields, "version": str(self._version), "from": _FROM})
            except Refused as error:
                self._version = None
                outdated = error.code == _REFUSED and _OUTDATED.search(error.words)
                if not outdated or attempt == _ATTEMPTS:
                    raise
            else:
                newer = data.get("version") if isinstance(data, Mapping) else None
                self._version = None if newer is None else str(newer)
                return

    def _ugc(self, method: str, path: str, fields: Mapping[str, str]) -> Any:
        """The `data` of the envelope."""
        content = self._content(method, self._hosts.ugc + path, fields)
        code, words = _number(content.get("status_code")), self._line.said(content.get("status_msg"))
        if code != _OK:
            raise Refused(code, words)
        return content.get("data")

    def _t(self, path: str, fields: Mapping[str, str]) -> Any:
        content = self._content("GET", f"{self._hosts.t}{_DEFAULT_LIST}/{path}", fields)
        code, words = _number(content.get("errorCode")), self._line.said(content.get("errorMsg"))
        if code != _OK:
            raise Refused(code, words)
        return content.get("result")

    def _content(self, method: str, url: str, fields: Mapping[str, str]) -> Mapping[str, Any]:
        phone = {"User_Agent": _AGENT}
        answer = self._line.get(url, fields, **phone) if method == "GET" else self._line.post(url, fields, **phone)
        try:
            content = json.loads(answer.content)
        except ValueError:
            content = None
        if says_expired(answer.status_code, content):
            words = "" if content is None else self._line.said(content.get("status_msg") or content.get("errorMsg"))
            raise SessionExpired(words or f"HTTP {answer.status_code}", self._line.account)
        if not isinstance(content, Mapping):
            raise ThsError(Failure.UNREADABLE, _ANOTHER_FORM)
        return content


def named(groups: Sequence[Group], name: str) -> Group | None:
    """The group of that name, whatever blanks stand around it; one that can be written into before a dynamic one."""
    found = [each for each in groups if each.name.strip() == name.strip()]
    return min(found, key=lambda each: each.dynamic, default=None)


def _group(listed: Mapping[str, Any]) -> Group:
    return Group(str(listed.get("id", "")), str(listed.get("name") or ""), entries_of(str(listed.get("content") or "")))


def entries_of(content: str) -> tuple[Entry, ...]:
    """The entries of a group's content: 600519|000001|,17|33|. ThsError where codes and markets are not as many: what is
    not understood is not written into."""
    codes, _, markets = content.partition(",")
    pairs = [[part for part in text.split("|") if part] for text in (codes, markets)]
    if len(pairs[0]) != len(pairs[1]):
        raise ThsError(
            Failure.UNREADABLE,
            told("a group of THS holds {codes} codes and {markets} markets", codes=len(pairs[0]), markets=len(pairs[1])),
        )
    return tuple(Entry(code, market) for code, market in zip(*pairs, strict=True))


def _number(code: object) -> int:
    try:
        return int(str(code))
    except ValueError:
        raise ThsError(Failure.UNREADABLE, _ANOTHER_FORM) from None
