"""All servers of a sandbox on loopback ports: the protocols, the inbox, the control endpoint."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web

from quant_pipeline.market import clock
from quant_pipeline.sandbox.control.calls import CallLog
from quant_pipeline.sandbox.control.endpoints import ControlEndpoints
from quant_pipeline.sandbox.control.faults import Faults
from quant_pipeline.sandbox.control.quotas import EVERY_API, Quotas
from quant_pipeline.sandbox.servers import inbox
from quant_pipeline.sandbox.servers.baostock_server import BaostockServer
from quant_pipeline.sandbox.servers.faulty_transport import elsewhere
from quant_pipeline.sandbox.servers.market_thread import MarketThread
from quant_pipeline.sandbox.servers.pushplus_server import DELIVERED, Message, PushPlusServer
from quant_pipeline.sandbox.servers.quote_sites import QuoteSites
from quant_pipeline.sandbox.servers.robots_server import RobotsServer
from quant_pipeline.sandbox.servers.sms_server import SmsServer
from quant_pipeline.sandbox.servers.ths_accounts import ThsAccounts
from quant_pipeline.sandbox.servers.ths_api_server import ThsApiServer
from quant_pipeline.sandbox.servers.ths_control import ThsControl
from quant_pipeline.sandbox.servers.ths_groups_server import ThsGroupsServer
from quant_pipeline.sandbox.servers.ths_login_server import ThsLoginServer
from quant_pipeline.sandbox.servers.tushare_server import TushareServer
from quant_pipeline.sandbox.servers.web.proxy import WebProxy
from quant_pipeline.sandbox.simulation.interface import Market

CALLS_A_MINUTE = 500


class Servers:
    """The servers over a market, which is built while they listen.

    `minute` is the length of a quota's minute in seconds; `store` keeps the inbox over restarts, and beside it the cookies
    and groups of the THS accounts; `ca_file` is where the proxy writes its authority's certificate. `control_token` is new.
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
        self.control_token = secrets.token_urlsafe(24)
        self._market_thread = MarketThread(market)
        per_minute = {EVERY_API: CALLS_A_MINUTE, **(quotas or {})}
        self.tushare = TushareServer(self._market_thread, self.calls, self.faults, Quotas(per_minute, minute=minute))
        self.pushplus = PushPlusServer(self.calls, self.faults, minute=minute, store=store, control_token=self.control_token)
        self.robots = RobotsServer(self.calls, self.faults, self.pushplus.deliver, minute=minute)
        self.sms = SmsServer(self.calls, self.faults, self.pushplus.deliver, minute=minute)
        self.baostock = BaostockServer(self._market_thread, self.calls, self.faults)
        self.ths_api = ThsApiServer(self._market_thread, self.calls, self.faults, Quotas(minute=minute))
        self.quotes = QuoteSites(self._market_thread, self.calls, self.faults)
        cookies, groups = (store and store.with_name(f"ths_{what}.json") for what in ("cookies", "groups"))
        self.ths_accounts = ThsAccounts(cookies)
        self.ths_login = ThsLoginServer(self.ths_accounts, self.calls, self.faults, self._deliver_sms)
        self.ths_groups = ThsGroupsServer(self.calls, self.faults, who=self.ths_accounts.signed_in, store=groups)
        self.web = WebProxy(self._market_thread, self.calls, self.faults, ca_file)
        self.ca_file = ca_file
        own_quotas = {"tushare": self.tushare.quotas, "pushplus": self.pushplus.quotas, "robots": self.robots.quotas}
        self._control = ControlEndpoints(self.calls, self.faults, own_quotas, self.ths_groups, self.control_token)
        self._ths_control = ThsControl(self.ths_accounts, self.control_token)
        self.last_request = time.monotonic()

    def application(self) -> web.Application:
        """The aiohttp application of all servers."""
        application = web.Application(middlewares=[self._awake], client_max_size=4 * 2**20)
        application.add_routes(
            [
                *self.tushare.routes(),
                *self.pushplus.routes(),
                *self.robots.routes(),
                *self.sms.routes(),
                *self.ths_api.routes(),
                *self.quotes.routes(),
                *self.ths_login.routes(),
                *self.ths_groups.routes(),
                elsewhere(self.calls),
                web.get("/", self._inbox),
                *self._control.routes(),
                *self._ths_control.routes(),
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

    def _deliver_sms(self, mobile: str, text: str) -> None:
        """An SMS lies in the inbox: the sandbox's user has no phone that it could come to."""
        time_of = clock.now().isoformat(sep=" ", timespec="seconds")[:19]
        title = f"短信 SMS {mobile[:3]}****{mobile[-4:]}"
        self.pushplus.deliver(Message(secrets.token_hex(16), title, text, "txt", time_of, status=DELIVERED))

    async def _inbox(self, _request: web.Request) -> web.Response:
        return web.Response(text=inbox.page(self.pushplus.messages), content_type="text/html", charset="utf-8")
