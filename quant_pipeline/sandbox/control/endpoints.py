"""The control endpoints: orders for faults, quotas and the clock, and what the servers counted."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError

from quant_pipeline.market import clock
from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Fault, FaultError, Faults
from quant_pipeline.sandbox.control.guard import guarded
from quant_pipeline.sandbox.control.quotas import EVERY_API, Per, Quotas

PREFIX = "/control"


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Quota(_Order):
    """{"server": "tushare", "api": "daily", "calls": 400, "per": "minute"}; calls null: unlimited."""

    server: Literal["tushare", "pushplus", "robots"] = "tushare"
    api: StrictStr = EVERY_API
    calls: Annotated[int, Field(ge=0)] | None = None
    per: Per = Per.MINUTE


class _Group(_Order):
    id: StrictStr
    name: StrictStr
    content: list[tuple[StrictStr, StrictStr]] = []


class _Groups(_Order):
    """{"user": "100001", "groups": [{"id": "0_1", "name": "core", "content": [["600519", "17"]]}]}: as of another device."""

    user: StrictStr
    groups: list[_Group]
    default: list[tuple[StrictStr, StrictStr]] = []


class _Clock(_Order):
    """{"now": "2026-11-20T18:00"} sets the servers' clock, {"now": null} gives it free."""

    now: StrictStr | None


Ordered = TypeVar("Ordered", bound=_Order)


class GroupsOfAccounts(Protocol):
    """The watchlist groups of the THS accounts: looked at, and set as another device would."""

    def shown(self, user: str) -> dict[str, Any]: ...

    def arrange(self, user: str, arranged: Mapping[str, Any]) -> None: ...


class ControlEndpoints:
    """The endpoints of one sandbox; `token` is what they want to be shown. An order that is refused changes nothing."""

    def __init__(
        self, calls: CallLog, faults: Faults, quotas: Mapping[str, Quotas], groups: GroupsOfAccounts, token: str
    ) -> None:
        self._calls, self._faults, self._quotas, self._groups, self._token = calls, faults, quotas, groups, token

    def routes(self) -> list[web.RouteDef]:
        handlers = [
            ("GET", "health", self._health),
            ("POST", "faults", self._order_fault),
            ("GET", "faults", self._list_faults),
            ("DELETE", "faults", self._clear_faults),
            ("GET", "calls", self._list_calls),
            ("GET", "stats", self._stats),
            ("POST", "quota", self._set_quota),
            ("POST", "clock", self._set_clock),
            ("GET", "ths-groups", self._show_groups),
            ("POST", "ths-groups", self._set_groups),
        ]
        return [web.route(method, f"{PREFIX}/{name}", guarded(handler, self._token)) for method, name, handler in handlers]

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({"pid": os.getpid(), "now": clock.now().isoformat(), "sandbox": True})

    async def _order_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.ordered(orjson.loads(await request.read()))
        except orjson.JSONDecodeError as error:
            return _refused(f"the order is not JSON: {error}")
        except FaultError as error:
            return _refused(str(error))
        self._faults.order(fault)
        return _json(self._faults.listing())

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return _json(self._faults.listing())

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        return _json([])

    async def _list_calls(self, request: web.Request) -> web.Response:
        return _json(self._calls.listing(request.query.get("server"), request.query.get("api")))

    async def _stats(self, request: web.Request) -> web.Response:
        asked = request.query.get("window")
        try:
            window = self._quotas["tushare"].minute if asked is None else float(asked)
        except ValueError:
            return _refused(f"window is a number of seconds, not {asked}")
        return _json(self._calls.stats(window))

    async def _set_quota(self, request: web.Request) -> web.Response:
        order = await _read(_Quota, request)
        if isinstance(order, web.Response):
            return order
        self._quotas[order.server].set(order.api, order.per, order.calls)
        return _json(order.model_dump())

    async def _show_groups(self, request: web.Request) -> web.Response:
        return _json(self._groups.shown(request.query.get("user", "")))

    async def _set_groups(self, request: web.Request) -> web.Response:
        order = await _read(_Groups, request)
        if isinstance(order, web.Response):
            return order
        self._groups.arrange(order.user, order.model_dump(exclude={"user"}))
        return _json(self._groups.shown(order.user))

    async def _set_clock(self, request: web.Request) -> web.Response:
        order = await _read(_Clock, request)
        if isinstance(order, web.Response):
            return order
        try:
            if order.now:
                dt.datetime.fromisoformat(order.now)
        except ValueError:
            return _refused(f"now: {order.now!r} is not a date and time; write 2026-11-20T18:00")
        if order.now:
            os.environ[clock.NOW_VARIABLE] = order.now
        else:
            os.environ.pop(clock.NOW_VARIABLE, None)
        return _json({"now": clock.now().isoformat()})


async def _read(form: type[Ordered], request: web.Request) -> Ordered | web.Response:
    """The order in a request, or the answer that refuses it."""
    try:
        return form.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return _refused(f"{where or 'the order'}: {first['msg']} (write {form.__doc__})")


def _refused(text: str) -> web.Response:
    return _json({"error": text}, status=400)


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json", charset="utf-8")
