"""Faults to order: what a server does instead of its duty, for which calls and how often."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

import polars as pl
from aiohttp import web

from quant_pipeline.sandbox.control.quotas import EVERY_API, Per

_GATEWAY_PAGE = "<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n</body>\n</html>\n"
_TITLES = {
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    504: "504 Gateway Time-out",
}


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
    """The service's quota text (`per` minute, hour or day)."""
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
    HALF = "half"
    """BaoStock only: half of the answer's bytes, then the connection is cut."""
    UNENDED = "unended"
    """BaoStock only: the answer without its end mark; the connection stays open and silent."""
    CODE = "code"
    """BaoStock only: the error code `code` with its text."""
    UNDELIVERED = "undelivered"
    """PushPlus only: the message is accepted and its delivery fails."""


class FaultError(ValueError):
    """An order that cannot be carried out."""


@dataclass(frozen=True)
class Fault:
    """An order. It fires for calls of `server` and `api` ("*": all) after the first `after`: for the next `times`
    (None: until cleared), or for each `every`-th."""

    kind: Kind
    server: str = "tushare"
    api: str = EVERY_API
    times: int | None = 1
    every: int = 1
    after: int = 0
    seconds: float = 60.0
    status: int = 502
    share: float = 0.2
    per: Per = Per.MINUTE
    code: str = "10002007"

    @classmethod
    def ordered(cls, order: dict[str, Any]) -> Fault:
        """The fault of a control request; `every` alone means until cleared. FaultError says what is wrong with it."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(order) - known):
            raise FaultError(f"unknown: {', '.join(unknown)}; a fault has {', '.join(sorted(known))}")
        if "every" in order and "times" not in order:
            order = {**order, "times": None}
        try:
            return cls(**{**order, "kind": Kind(order.get("kind", "")), "per": Per(order.get("per", Per.MINUTE))})
        except ValueError as error:
            raise FaultError(str(error)) from None


@dataclass
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


async def interrupt(fault: Fault, request: web.Request) -> web.Response | None:
    """Carries out what a fault does to the transport. None: the server goes on (perhaps late) with its answer."""
    match fault.kind:
        case Kind.SLOW:
            await asyncio.sleep(fault.seconds)
        case Kind.DISCONNECT | Kind.HANG:
            if fault.kind is Kind.HANG:
                await asyncio.sleep(fault.seconds)
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        case Kind.STATUS:
            return _page(fault.status, _TITLES.get(fault.status, f"{fault.status} Error"))
        case Kind.HTML:
            return _page(200, "系统维护中")
    return None


def spoil(fault: Fault, frame: pl.DataFrame) -> pl.DataFrame:
    """Carries out what a fault does to the rows of an answer."""
    match fault.kind:
        case Kind.EMPTY:
            return frame.clear()
        case Kind.WRONG_ROWS:
            return frame.head(round(len(frame) * (1 - fault.share)))
        case Kind.BAD_VALUES:
            return _with_bad_values(frame)
    return frame


def _with_bad_values(frame: pl.DataFrame) -> pl.DataFrame:
    """The first row's high (or first figure) is broken, the second has no date, the third stands twice."""
    row = pl.int_range(pl.len())
    broken = next((name for name in ("high", *frame.columns) if frame.schema.get(name) == pl.Float64), None)
    date = next((name for name in frame.columns if name.endswith("_date")), None)
    changes = []
    if broken:
        changes.append(pl.when(row == 0).then(-pl.col(broken)).otherwise(pl.col(broken)).alias(broken))
    if date:
        changes.append(pl.when(row == 1).then(None).otherwise(pl.col(date)).alias(date))
    return pl.concat([frame.with_columns(changes), frame.slice(2, 1)])


def _page(status: int, title: str) -> web.Response:
    return web.Response(status=status, text=_GATEWAY_PAGE.format(title=title), content_type="text/html")
