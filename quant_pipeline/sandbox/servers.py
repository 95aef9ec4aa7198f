"""All servers of a sandbox on loopback ports: the protocols, the inbox, the control endpoint."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from quant_pipeline.market import clock
from quant_pipeline.sandbox import inbox, pushplus_server, ths_api_server, tushare_server
from quant_pipeline.sandbox.baostock_server import BaostockServer
from quant_pipeline.sandbox.calls import CallLog
from quant_pipeline.sandbox.faults import Fault, FaultError, Faults
from quant_pipeline.sandbox.pushplus_server import PushPlusServer
from quant_pipeline.sandbox.quotas import EVERY_API, Per, Quotas
from quant_pipeline.sandbox.room import MarketRoom
from quant_pipeline.sandbox.ths_api_server import ThsApiServer
from quant_pipeline.sandbox.tushare_apis import Market
from quant_pipeline.sandbox.tushare_server import TushareServer
from quant_pipeline.sandbox.web.proxy import WebProxy

HOST = "127.0.0.1"
CALLS_A_MINUTE = 500
TOKEN = "sandbox-token"
SECRET = "sandbox-secret"


@dataclass(frozen=True)
class Addresses:
    """Where a sandbox listens, and what to show at its doors."""

    port: int
    baostock_port: int
    proxy_port: int
    ca_file: str
    """Certificate of the authority that the proxy's sites are signed by."""

    host = HOST
    token = TOKEN
    pushplus_token = TOKEN
    pushplus_secret = SECRET

    @property
    def control_url(self) -> str:
        """The control endpoint; the inbox is at `/` of the same server."""
        return f"http://{HOST}:{self.port}/control"

    @property
    def inbox_url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    @property
    def tushare_url(self) -> str:
        return f"http://{HOST}:{self.port}{tushare_server.PREFIX}"

    @property
    def pushplus_url(self) -> str:
        return f"http://{HOST}:{self.port}{pushplus_server.PREFIX}"

    @property
    def ths_api_url(self) -> str:
        return f"http://{HOST}:{self.port}{ths_api_server.PREFIX}"

    def environment(self) -> dict[str, str]:
        """The variables that point a pipeline at this sandbox."""
        return {
            "TUSHARE_URL": self.tushare_url,
            "TUSHARE_TOKEN": self.token,
            "PUSHPLUS_URL": self.pushplus_url,
            "PUSHPLUS_TOKEN": self.pushplus_token,
            "PUSHPLUS_SECRET_KEY": self.pushplus_secret,
            "THS_API_URL": self.ths_api_url,
            "THS_API_KEY": self.token,
            "BAOSTOCK_HOST": HOST,
            "BAOSTOCK_PORT": str(self.baostock_port),
            **self.web_environment(),
        }

    def web_environment(self) -> dict[str, str]:
        """The variables with which AKShare finds the sandbox's web sites."""
        proxy = f"http://{HOST}:{self.proxy_port}"
        return {
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), proxy),
            **dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), self.ca_file),
            "NO_PROXY": f"localhost,{HOST}",
        }


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
        self._room = MarketRoom(market)
        per_minute = {EVERY_API: CALLS_A_MINUTE, **(quotas or {})}
        self.tushare = TushareServer(self._room, self.calls, self.faults, Quotas(per_minute, minute=minute))
        self.pushplus = PushPlusServer(self.calls, self.faults, minute=minute, store=store)
        self.baostock = BaostockServer(self._room, self.calls, self.faults)
        self.ths_api = ThsApiServer(self._room, self.calls, self.faults, Quotas(minute=minute))
        self.web = WebProxy(self._room, self.calls, self.faults, ca_file)
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
        self._room.close()

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
