"""The control of the simulated 同花顺 accounts: what the owner's phone does, when cookies end, and what was sent to whom."""

from __future__ import annotations

from typing import Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, StrictBool, ValidationError

from quant_pipeline.sandbox.control.endpoints import PREFIX
from quant_pipeline.sandbox.control.guard import guarded
from quant_pipeline.sandbox.servers.ths_accounts import Scan, ThsAccounts


class _Order(BaseModel):
    """{"phone": "by_order", "scan": "confirmed", "brings": "cookies", "slider": false, "expire": true}, each optional."""

    model_config = ConfigDict(extra="forbid")

    phone: Literal["by_itself", "by_order"] | None = None
    scan: Scan | None = None
    """The phone does so with the QR code that was asked for last, and from then on acts by order."""
    brings: Literal["cookies", "redirect", "credential"] | None = None
    slider: StrictBool | None = None
    expire: StrictBool = False


class ThsControl:
    """`GET` and `POST /control/ths`. An order that is refused changes nothing."""

    def __init__(self, accounts: ThsAccounts, token: str) -> None:
        self._accounts, self._token = accounts, token

    def routes(self) -> list[web.RouteDef]:
        handlers = [("GET", self._tell), ("POST", self._order)]
        return [web.route(method, f"{PREFIX}/ths", guarded(handler, self._token)) for method, handler in handlers]

    async def _tell(self, _request: web.Request) -> web.Response:
        return _json(self._accounts.told())

    async def _order(self, request: web.Request) -> web.Response:
        try:
            order = _Order.model_validate_json(await request.read())
        except ValidationError as error:
            return _json({"error": f"{error.errors()[0]['msg']} (write {_Order.__doc__})"}, status=400)
        if order.scan is not None and not self._accounts.qrs:
            return _json({"error": "no QR code was asked for yet"}, status=400)
        phone = self._accounts.phone
        phone.acts = order.phone or ("by_order" if order.scan is not None else phone.acts)
        phone.brings = order.brings or phone.brings
        phone.slider = phone.slider if order.slider is None else order.slider
        if order.scan is not None:
            self._accounts.scan(order.scan)
        if order.expire:
            self._accounts.expire()
        return _json(self._accounts.told())


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json", charset="utf-8")
