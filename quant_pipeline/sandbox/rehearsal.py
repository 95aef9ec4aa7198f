"""A sandbox for a test or a rehearsal: the same servers, in a thread of this process, with real sockets."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests

from quant_pipeline.sandbox.addresses import Addresses
from quant_pipeline.sandbox.assembly import Servers
from quant_pipeline.sandbox.service import listening
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.interface import Market
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

_PATIENCE = 30.0
Answer = TypeVar("Answer")


class Rehearsal(Addresses):
    """The addresses of a running sandbox, and what can be ordered from its control endpoint."""

    def order_fault(self, kind: str, **order: Any) -> None:
        """Orders a fault (faults.py): `order_fault("status", api="daily", status=429, times=2)`."""
        self._control("POST", "faults", {"kind": kind, **order})

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    def set_quota(self, api: str, calls: int | None, *, per: str = "minute", server: str = "tushare") -> None:
        """Sets a quota from now on; None: unlimited."""
        self._control("POST", "quota", {"server": server, "api": api, "calls": calls, "per": per})

    def set_clock(self, now: str | None) -> None:
        """Sets the servers' clock ("2026-11-20T18:00"); None gives it free."""
        self._control("POST", "clock", {"now": now})

    def ths(self, **order: Any) -> dict[str, Any]:
        """Orders of the owner's phone and of the cookies of 同花顺 (ths_control.py): `ths(scan="confirmed")`. What stands then;
        without an order, what stands."""
        standing: dict[str, Any] = self._control("POST", "ths", order) if order else self._control("GET", "ths")
        return standing

    def calls(self, api: str | None = None, *, server: str = "tushare") -> list[dict[str, Any]]:
        """The calls as the server counted them, oldest first."""
        listing: list[dict[str, Any]] = self._control(
            "GET", "calls", parameters={"server": server, **({"api": api} if api else {})}
        )
        return listing

    def ths_groups(self, user: str, arranged: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the THS account of the user has: version, groups, default list. `arranged`: set as another device would."""
        if arranged is not None:
            self._control("POST", "ths-groups", {"user": user, **arranged})
        shown: dict[str, Any] = self._control("GET", "ths-groups", parameters={"user": user})
        return shown

    def stats(self) -> dict[str, dict[str, Any]]:
        """Figures per "server.api" (calls.py)."""
        figures: dict[str, dict[str, Any]] = self._control("GET", "stats")
        return figures

    def _control(
        self, method: str, what: str, order: dict[str, Any] | None = None, parameters: dict[str, str] | None = None
    ) -> Any:
        url = f"{self.control_url}/{what}"
        answer = requests.request(method, url, json=order, params=parameters, headers=self.control_headers, timeout=_PATIENCE)
        if answer.status_code == 400:
            raise ValueError(answer.json()["error"])
        answer.raise_for_status()
        return answer.json()


@contextmanager
def running(
    market: Exchange | Market, *, quotas: Mapping[str, int | None] | None = None, minute: float = 60.0
) -> Iterator[Rehearsal]:
    """Runs the servers over a market until the block ends. `quotas` are calls a minute by API ("*": the others; default
    500), None is unlimited; `minute` is the length of a quota's minute in seconds."""
    data: Market = SimulatedMarket(market) if isinstance(market, Exchange) else market
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
    thread.start()

    def within(work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, loop).result(_PATIENCE)

    try:
        with tempfile.TemporaryDirectory(prefix="sandbox") as folder:
            servers = Servers(lambda: data, quotas=quotas, minute=minute, ca_file=Path(folder) / "ca.pem")
            life = listening(servers)
            addresses = within(life.__aenter__())
            try:
                yield Rehearsal(**vars(addresses))
            finally:
                within(life.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
