"""fresh, no_future_row: what should have come by now, and what cannot have."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, MONTHLY_KLINE, PRICE_LIMITS, STOCK_LIST, THS_MEMBERS, WEEKLY_KLINE
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.checks import checks_of
from quant_pipeline.sync.ledger import Ledger, item_of, record
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence
from quant_pipeline_tests.sync.stored import LATEST, NOW, bars, judged, store


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setenv("QUANT_NOW", moment)


def test_a_session_or_period_behind_is_told_in_its_own_measure(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {DAILY_KLINE: LATEST, WEEKLY_KLINE: dt.date(2026, 11, 20), MONTHLY_KLINE: dt.date(2026, 10, 30)}
    for dataset, label in labels.items():
        assert "nothing is synced yet" in judged(warehouse, dataset, "fresh", [LATEST]).text
        store(warehouse, dataset, bars(["600000.SH"], [label]))
        assert judged(warehouse, dataset, "fresh", [LATEST]).passed
    at(monkeypatch, "2026-12-02T18:00")
    told = {dataset.name: judged(warehouse, dataset, "fresh", [LATEST]).text for dataset in labels}
    assert told == {
        "daily_kline": "synced up to 2026-11-20, 8 sessions behind",
        "weekly_kline": "synced up to 2026-11-20, 1 weeks behind",
        "monthly_kline": "synced up to 2026-10-30, 1 months behind",
    }
    assert not any(judged(warehouse, dataset, "fresh", [LATEST]).passed for dataset in labels)


def test_the_running_week_is_due_once_it_is_closed(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store(warehouse, WEEKLY_KLINE, bars(["600000.SH"], [dt.date(2026, 11, 13), dt.date(2026, 11, 18)]))
    at(monkeypatch, "2026-11-19T18:00")
    assert judged(warehouse, WEEKLY_KLINE, "fresh", [LATEST]).passed, "Wednesday's label is new enough for a running week"
    at(monkeypatch, NOW)
    assert judged(warehouse, WEEKLY_KLINE, "fresh", [LATEST]).text == "synced up to 2026-11-18, 1 weeks behind"


def test_limits_of_the_morning_lie_not_in_the_future_but_bars_do(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store(warehouse, PRICE_LIMITS, [{"ts_code": "600000.SH", "trade_date": LATEST, "up_limit": 11.0, "down_limit": 9.0}])
    store(warehouse, DAILY_KLINE, bars(["600000.SH"], [LATEST]))
    at(monkeypatch, "2026-11-20T09:00")
    assert judged(warehouse, PRICE_LIMITS, "no_future_row", [LATEST]).passed
    assert not judged(warehouse, DAILY_KLINE, "no_future_row", [LATEST]).passed
    at(monkeypatch, "2026-11-20T08:00")
    assert not judged(warehouse, PRICE_LIMITS, "no_future_row", [LATEST]).passed


def test_a_list_says_how_old_its_last_good_data_are(warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    presence = Presence(warehouse.connect())
    ledger = Ledger(warehouse, presence)
    ledger.begin("run-1", "test", {})
    assert judged(warehouse, STOCK_LIST, "fresh", []).text == "nothing is synced yet"
    with warehouse.connect() as connection:
        good, late = Unit.snapshot(dt.date(2026, 11, 13)), Unit.snapshot(LATEST)
        record(connection, "run-1", STOCK_LIST, [item_of(good), item_of(late, status="failed", error="cut off")])
        board = Unit.members("885001.TI", dt.date(2026, 11, 13))
        record(connection, "run-1", THS_MEMBERS, [item_of(board)])
    for dataset in (STOCK_LIST, THS_MEMBERS):
        verdict = judged(warehouse, dataset, "fresh", [])
        assert (verdict.passed, verdict.text) == (True, "last good data of 2026-11-13, 5 sessions old")
    at(monkeypatch, "2026-11-23T18:00")
    verdict = judged(warehouse, STOCK_LIST, "fresh", [])
    assert not verdict.passed
    assert verdict.text == "last good data of 2026-11-13, 6 sessions old: readers keep them"
    (fresh,) = (check for check in checks_of(STOCK_LIST) if check.name == "fresh")
    assert fresh.warns
    presence.close()
