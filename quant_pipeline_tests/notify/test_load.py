"""A flood of alerts by four processes, PushPlus down for half of it: the benchmark's load, small, and with short minutes."""

from __future__ import annotations

import pytest

from benchmarks.alerts import NOW, Load, carry
from quant_pipeline.market import clock
from quant_pipeline.notify import pace
from quant_pipeline.sandbox.rehearsal import running
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.warehouse.database import Database

LOAD = Load(alerts=200, processes=4, seconds=1.0, minute=1.0)


def test_nothing_is_lost_or_doubled_no_limit_exceeded_and_the_order_kept(
    market: SimulatedMarket, warehouse: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, NOW)
    for each in ("MINUTE", "REST"):
        monkeypatch.setattr(pace, each, getattr(pace, each) * LOAD.minute / 60)
    with running(market, minute=LOAD.minute) as sandbox:
        found = carry(LOAD, sandbox, warehouse)
    assert (found.stored, found.lost, found.doubled, found.disorder) == (LOAD.alerts, 0, 0, 0), found
    for answers in found.answers.values():
        assert set(answers) <= {"ok", "disconnect"}, "no server had to refuse a call"
    assert found.answers["pushplus"]["disconnect"] >= 1
    assert found.busiest["pushplus"] <= 5
    assert found.busiest["wecom"] <= 20
    assert found.states["folded"] >= LOAD.alerts - 3 * 40, "the same alert three times an hour"
