"""Logins in a real database, at a sandbox's servers, with a key that takes no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quant_pipeline.market import clock
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.ths import qr
from quant_pipeline.ths.hosts import Hosts
from quant_pipeline.ths.logins import Logins
from quant_pipeline.vault import keys
from quant_pipeline.warehouse.database import Database

NOW = "2026-11-20T18:00"


@pytest.fixture(scope="session")
def market() -> SimulatedMarket:
    """A market that no test here looks at."""
    return SimulatedMarket(Exchange(codes=60, first_year=2025))


@pytest.fixture
def sandbox(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv(clock.NOW_VARIABLE, NOW)
    monkeypatch.setenv("SECRET_KEY", keys.made().reveal())
    monkeypatch.setattr(keys, "ITERATIONS", 1_000)
    monkeypatch.setattr(qr, "POLL", 0.01)
    with running(market) as rehearsal:
        yield rehearsal


@pytest.fixture
def hosts(sandbox: Rehearsal) -> Hosts:
    return Hosts(sandbox.ths_upass_url, sandbox.ths_auth_url, sandbox.ths_ugc_url, sandbox.ths_t_url)


@pytest.fixture
def logins(warehouse: Database, hosts: Hosts) -> Logins:
    return Logins(warehouse, hosts)
