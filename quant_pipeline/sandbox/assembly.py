"""All servers of a sandbox on loopback ports: the protocols, the inbox, the control endpoint."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from quant_pipeline.market import clock
from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.faults import Fault, FaultError, Faults
from quant_pipeline.sandbox.control.quotas import EVERY_API, Per, Quotas
from quant_pipeline.sandbox.servers import inbox
from quant_pipeline.sandbox.servers.baostock_server import BaostockServer
from quant_pipeline.sandbox.servers.faulty_transport import elsewhere
from quant_pipeline.sandbox.servers.market_thread import MarketThread
from quant_pipeline.sandbox.servers.pushplus_server import PushPlusServer
from quant_pipeline.sandbox.servers.ths_api_server import ThsApiServer
from quant_pipeline.sandbox.servers.tushare_server import TushareServer
from quant_pipeline.sandbox.servers.web.proxy import WebProxy
from quant_pipeline.sandbox.simulation.interface import Market

CALLS_A_MINUTE = 500


class Servers:
    """The servers over a market, which is built while they listen.

    `minute` is the length of a quota's minute in seconds; `store` keeps the inbox over restarts; `ca_file` is where the
    proxy writes its authority's certificate.
    """

    def __init__(
        self,
        market: Callable[[], Market],
        *,
        quotas: Mapping[str, int | None] | None = None,
        minute: float = 60.0,
        store: Path | None = None,
        ca_file: Path,
    ) -> None:
        self.calls, self.faults = CallLog(), Faults()
        self._market_thread = MarketThread(market)
        per_minute = {EVERY_API: CALLS_A_MINUTE, **(quotas or {})}
        self.tushare = TushareServer(self._market_thread, self.calls, self.faults, Quotas(per_minute, minute=minute))
        self.pushplus = PushPlusServer(self.calls, self.faults, minute=minute, store=store)
        self.baostock = BaostockServer(self._market_thread, self.calls, self.faults)
        self.ths_api = ThsApiServer(self._market_thread, self.calls, self.faults, Quotas(minute=minute))
        self.web = WebProxy(self._market_thread, self.calls, self.faults, ca_file)
        self.ca_file = ca_file
        self.last_request = time.monotonic()

    def application(self) -> web.Application:
        """The aiohttp application of all servers."""
        application = web.Application(middlewares=[self._awake], client_max_size=4 * 2**20)
        application.add_routes(
            [
                *self.tushare.routes(),
                *self.pushplus.routes(),
                *self.ths_api.routes(),
                elsewhere(self.calls),
                web.get("/", self._inbox),
                web.get("/control/health", self._health),
                web.post("/control/faults", self._order_fault),
                web.get("/control/faults", self._list_faults),
                web.delete("/control/faults", self._clear_faults),
                web.get("/control/calls", self._list_calls),
                web.get("/control/stats", self._stats),
                web.post("/control/quota", self._set_quota),
                web.post("/control/clock", self._set_clock),
            ]
        )
        return application

    def idle(self) -> float:
        """Seconds since any of the servers was asked for something."""
        return time.monotonic() - max(self.last_request, self.calls.last_arrival)

    def close(self) -> None:
        self._market_thread.close()

    @web.middleware
    async def _awake(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.last_request = time.monotonic()
        return await handler(request)

    async def _inbox(self, _request: web.Request) -> web.Response:
        return web.Response(text=inbox.page(self.pushplus.messages), content_type="text/html", charset="utf-8")

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({"pid": os.getpid(), "now": clock.now().isoformat(), "sandbox": True})

    async def _order_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.ordered(orjson.loads(await request.read()))
        except (orjson.JSONDecodeError, FaultError, TypeError) as error:
            return _json({"error": str(error)}, status=400)
        self.faults.order(fault)
        return _json(self.faults.listing())

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return _json(self.faults.listing())

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self.faults.clear()
        return _json([])

    async def _list_calls(self, request: web.Request) -> web.Response:
        return _json(self.calls.listing(request.query.get("server"), request.query.get("api")))

    async def _stats(self, request: web.Request) -> web.Response:
        return _json(self.calls.stats(float(request.query.get("window", self.tushare.quotas.minute))))

    async def _set_quota(self, request: web.Request) -> web.Response:
        """{"server": "tushare", "api": "daily", "calls": 400, "per": "minute"}"""
        try:
            order = orjson.loads(await request.read())
            quotas = {"tushare": self.tushare.quotas, "pushplus": self.pushplus.quotas}[order.get("server", "tushare")]
            calls = order.get("calls")
            quotas.set(order.get("api", EVERY_API), Per(order.get("per", Per.MINUTE)), None if calls is None else int(calls))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            return _json({"error": f"not a quota: {error}"}, status=400)
        return _json(order)

    async def _set_clock(self, request: web.Request) -> web.Response:
        """{"now": "2026-11-20T18:00"} sets the servers' clock, {"now": null} gives it free."""
        moment = orjson.loads(await request.read()).get("now")
        former = os.environ.pop(clock.NOW_VARIABLE, None)
        if moment:
            os.environ[clock.NOW_VARIABLE] = moment
        try:
            return _json({"now": clock.now().isoformat()})
        except ValueError as error:
            os.environ.pop(clock.NOW_VARIABLE)
            if former:
                os.environ[clock.NOW_VARIABLE] = former
            return _json({"error": str(error)}, status=400)


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json", charset="utf-8")
