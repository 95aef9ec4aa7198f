"""A small market, served by the real servers to the unmodified clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import tushare

from quant_pipeline.market import clock
from quant_pipeline.sandbox.addresses import Addresses
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

NOW = "2026-11-20T18:00"
"""A Friday evening: the session's data are ready."""


@pytest.fixture(autouse=True)
def evening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here takes place on the evening of a session, unless it says otherwise."""
    monkeypatch.setenv(clock.NOW_VARIABLE, NOW)


@pytest.fixture(scope="session")
def exchange() -> Exchange:
    """300 codes over the years of every reform of the limits."""
    return Exchange(codes=300, first_year=2019)


@pytest.fixture
def market(exchange: Exchange) -> SimulatedMarket:
    return SimulatedMarket(exchange)


@pytest.fixture
def sandbox(exchange: Exchange) -> Iterator[Rehearsal]:
    with running(exchange) as rehearsal:
        yield rehearsal


@pytest.fixture
def connect() -> Callable[..., tushare.pro.client.DataApi]:
    """Makes an unmodified Tushare client for a sandbox."""

    def client(addresses: Addresses, token: str = Addresses.token, timeout: float = 10) -> tushare.pro.client.DataApi:
        api = tushare.pro_api(token, timeout=timeout)
        api._DataApi__http_url = addresses.tushare_url
        return api

    return client


@pytest.fixture
def pro(sandbox: Rehearsal, connect: Callable[..., tushare.pro.client.DataApi]) -> tushare.pro.client.DataApi:
    return connect(sandbox)
