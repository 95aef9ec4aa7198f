"""Faults to order: what a server does instead of its duty, for which calls and how often."""

from __future__ import annotations

from dataclasses import asdict, fields
from dataclasses import dataclass as plain_dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from quant_pipeline.sandbox.control.quotas import EVERY_API, Per


class Kind(StrEnum):
    """What goes wrong."""

    DISCONNECT = "disconnect"
    """The connection is cut without an answer."""
    HANG = "hang"
    """No answer for `seconds`, then the connection is cut."""
    SLOW = "slow"
    """The true answer, `seconds` late."""
    STATUS = "status"
    """The HTTP status `status` with a gateway's page."""
    HTML = "html"
    """A page with status 200 where JSON should be."""
    QUOTA = "quota"
    """The service's quota text (`per` minute, hour or day; `wording` today or former)."""
    PERMISSION = "permission"
    """The service's text about missing rights."""
    TOKEN = "token"
    """The service's text about a wrong token."""
    WRONG_ROWS = "wrong_rows"
    """The true answer without the last `share` of its rows: a lost page."""
    EMPTY = "empty"
    """Columns and no rows."""
    BAD_VALUES = "bad_values"
    """The true answer with a high below its low, a row without a date, and a row that stands twice."""
    NAN = "nan"
    """Nulls in `columns`, in `share` of the rows."""
    UNREADABLE = "unreadable"
    """`text` ("--") in place of the values of `columns`, in `share` of the rows."""
    SCALED = "scaled"
    """The values of `columns` times `factor`, in `share` of the rows."""
    SWAPPED = "swapped"
    """The headers of two `columns` are exchanged."""
    REORDERED = "reordered"
    """The values stand in another order than the headers."""
    NUMERIC_CODES = "numeric_codes"
    """ts_code as a number, without its exchange: 1 for 000001.SZ."""
    STALE = "stale"
    """The rows of the session before, under the date that was asked for."""
    CONTRADICTING = "contradicting"
    """`count` of the codes stand twice in the bars, with different prices."""
    UNKNOWN_CODES = "unknown_codes"
    """`count` more rows, of codes that do not exist."""
    HALTED_BARS = "halted_bars"
    """Bars, too, of the codes that are halted all day: the last price, and `volume` 手."""
    NEW_PREFIX = "new_prefix"
    """One more share everywhere, of a prefix that nobody knows: `ts_code` (303001.SZ)."""
    CHANGED_CODE = "changed_code"
    """A share bears the new code `ts_code` (302132.SZ) everywhere; the old code is gone from every list and history."""
    WITHDRAWN_CODE = "withdrawn_code"
    """stock_basic: the delisted T00018.SH (上港集箱) stands in the list, as it does every day."""
    NAMES_TWICE = "names_twice"
    """namechange: `count` name periods that ended stand twice, with their end and without."""
    HALTS_TWICE = "halts_twice"
    """suspend_d: `count` of the halts stand twice, as whole days and as a span of time."""
    BARS_BEFORE_LISTING = "bars_before_listing"
    """stock_basic: the shares of the BSE are told to be listed `count` sessions later than their first bar."""
    SHORT_HISTORY = "short_history"
    """Asked by code: only the newest `rows` (none)."""
    ALL_CLOSED = "all_closed"
    """trade_cal: every day is closed."""
    HOLIDAY_OPEN = "holiday_open"
    """trade_cal: a past holiday is told open: `day`, or the latest on a weekday."""
    SESSION_CLOSED = "session_closed"
    """trade_cal: a past session is told closed: `day`, or the latest but one."""
    ENDLESS = "endless"
    """Every page is full again: with the same rows, or with ever new ones (`fresh`)."""
    DRIP = "drip"
    """The true answer, a byte every `seconds` (1)."""
    BOMB = "bomb"
    """An answer of `megabytes`."""
    REDIRECT = "redirect"
    """HTTP 307 to `url`, or to another name of this machine where the call is logged as of the server "elsewhere"."""
    HALF = "half"
    """BaoStock, the sites of quotes: half of the answer's bytes, then the connection is cut. THS groups: it is done, and the
    answer is lost."""
    UNENDED = "unended"
    """BaoStock only: the answer without its end mark; the connection stays open and silent."""
    CODE = "code"
    """BaoStock and the THS groups: the error code `code` with its text."""
    UNDELIVERED = "undelivered"
    """PushPlus only: the message is accepted and its delivery fails."""


class FaultError(ValueError):
    """An order that cannot be carried out."""


_DEFAULT_SHARE = {Kind.WRONG_ROWS: 0.2}
_DEFAULT_SECONDS = {Kind.DRIP: 1.0}
_DEFAULT_CODE = {Kind.NEW_PREFIX: "303001.SZ", Kind.CHANGED_CODE: "302132.SZ"}
_COLUMNS = {Kind.NAN: 1, Kind.UNREADABLE: 1, Kind.SCALED: 1, Kind.SWAPPED: 2}
"""The kinds that need columns, and how many at least."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fault:
    """An order. It fires for calls of `server` and `api` ("*": all) after the first `after`: for the next `times`
    (None: until cleared), or for each `every`-th. The rest says how, where the kind leaves it open."""

    kind: Kind
    server: Literal[
        "tushare", "baostock", "akshare", "ths", "ths_login", "ths_groups", "pushplus", "robots", "tencent", "sina"
    ] = "tushare"
    api: str = EVERY_API
    times: Annotated[int, Field(ge=0)] | None = 1
    every: Annotated[int, Field(ge=1)] = 1
    after: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(ge=0)] | None = None
    status: Annotated[int, Field(ge=100, le=599)] = 502
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    per: Per = Per.MINUTE
    wording: Literal["today", "former"] = "today"
    code: str = "10002007"
    columns: tuple[str, ...] = ()
    factor: float = 100.0
    count: Annotated[int, Field(ge=0)] = 1
    volume: Annotated[float, Field(ge=0)] = 0.0
    rows: Annotated[int, Field(ge=0)] = 0
    text: str = "--"
    ts_code: str = ""
    day: Annotated[str, Field(pattern=r"^(\d{8})?$")] = ""
    fresh: bool = False
    megabytes: Annotated[float, Field(ge=0)] = 100.0
    url: str = ""

    @classmethod
    def ordered(cls, order: Any) -> Fault:
        """The fault of a control request; `every` alone means until cleared. FaultError says what is wrong with it."""
        if not isinstance(order, dict):
            raise FaultError("a fault is a JSON object with a kind")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(order) - known):
            raise FaultError(f"unknown: {', '.join(unknown)}; a fault has {', '.join(sorted(known))}")
        if "every" in order and "times" not in order:
            order = {**order, "times": None}
        try:
            fault: Fault = _ORDER.validate_python(order)
        except ValidationError as error:
            first = error.errors()[0]
            raise FaultError(f"{'.'.join(map(str, first['loc']))}: {first['msg']} (not {first['input']!r})") from None
        if len(fault.columns) < _COLUMNS.get(fault.kind, 0):
            raise FaultError(f"{fault.kind} needs columns, at least {_COLUMNS[fault.kind]}")
        return fault

    @property
    def affected(self) -> float:
        """The share of the rows that the fault touches."""
        return _DEFAULT_SHARE.get(self.kind, 1.0) if self.share is None else self.share

    @property
    def delay(self) -> float:
        """The seconds that it takes."""
        return _DEFAULT_SECONDS.get(self.kind, 60.0) if self.seconds is None else self.seconds

    @property
    def new_code(self) -> str:
        """The code that NEW_PREFIX and CHANGED_CODE bring in."""
        return self.ts_code or _DEFAULT_CODE[self.kind]


_ORDER = TypeAdapter(Fault)


@plain_dataclass
class _Order:
    fault: Fault
    seen: int = 0
    fired: int = 0

    def fires(self) -> bool:
        """Whether the matching call that was just seen is one of those ordered."""
        due = self.seen - self.fault.after
        spent = self.fault.times is not None and self.fired >= self.fault.times
        return not spent and due > 0 and due % self.fault.every == 0


class Faults:
    """The orders of one sandbox."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []

    def order(self, fault: Fault) -> None:
        """Takes an order; when several would fire for a call, the oldest does."""
        self._orders.append(_Order(fault))

    def clear(self) -> None:
        """Forgets all orders."""
        self._orders.clear()

    def listing(self) -> list[dict[str, Any]]:
        """The orders, with how often each has fired."""
        return [{**asdict(order.fault), "fired": order.fired} for order in self._orders]

    def take(self, server: str, api: str) -> Fault | None:
        """The fault of the call that arrives now, if there is one."""
        concerned = [o for o in self._orders if o.fault.server == server and o.fault.api in (EVERY_API, api)]
        for order in concerned:
            order.seen += 1
        firing = next((order for order in concerned if order.fires()), None)
        if firing is None:
            return None
        firing.fired += 1
        return firing.fault
