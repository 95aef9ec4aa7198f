"""A sandbox on the morning of a session, and clients of its sites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quant_pipeline.market import clock
from quant_pipeline.quotes.hosts import Hosts
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket


@pytest.fixture(autouse=True)
def morning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half past ten of a session: continuous trading."""
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-11-20T10:30:00")


@pytest.fixture(scope="session")
def exchange() -> Exchange:
    return Exchange(codes=300, first_year=2025)


@pytest.fixture(scope="session")
def _servers(exchange: Exchange) -> Iterator[Rehearsal]:
    with running(exchange) as rehearsal:
        yield rehearsal


@pytest.fixture
def sandbox(_servers: Rehearsal) -> Iterator[Rehearsal]:
    """The servers are in this process: the clock is that of the test."""
    yield _servers
    _servers.clear_faults()


@pytest.fixture
def hosts(sandbox: Rehearsal) -> Hosts:
    return Hosts(
        sandbox.tencent_quotes_url, sandbox.tencent_ranks_url, sandbox.sina_quotes_url, sandbox.tushare_url, sandbox.token
    )


@pytest.fixture(scope="session")
def market(exchange: Exchange) -> SimulatedMarket:
    return SimulatedMarket(exchange)
