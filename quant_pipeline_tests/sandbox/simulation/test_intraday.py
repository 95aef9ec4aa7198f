"""A session as it goes on: within the day's bar, never back in volume, the same for whoever asks, and at last the bar."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

_TIMES = ["09:26", "09:30:03", "09:47:21", "10:59:59", "11:30", "12:15", "13:00:06", "14:20:30", "14:59:57", "15:00"]


def at(market: SimulatedMarket, patch: pytest.MonkeyPatch, time: str, **params: str) -> pl.DataFrame:
    patch.setenv(clock.NOW_VARIABLE, f"2026-11-20T{time}")
    return market.frame("quotes", params, 1_000).filter(~pl.col("halted"))


def test_prices_stay_within_the_day_s_and_volume_only_grows(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = at(market, monkeypatch, "18:00")
    former = None
    for time in _TIMES:
        now = at(market, monkeypatch, time)
        assert now["ts_code"].equals(bars["ts_code"])
        assert ((now["low"] >= bars["low"]) & (now["high"] <= bars["high"])).all(), time
        assert ((now["low"] <= now["close"]) & (now["close"] <= now["high"])).all(), time
        if former is not None:
            assert ((now["vol"] >= former["vol"]) & (now["amount"] >= former["amount"])).all(), time
            assert ((now["high"] >= former["high"]) & (now["low"] <= former["low"])).all(), time
        former = now
    assert former is not None
    assert former.drop("trade_time").equals(bars.drop("trade_time"))


def test_the_end_is_the_day_s_bar(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    end = at(market, monkeypatch, "18:00").with_columns(vol=pl.col("vol") / 100, amount=pl.col("amount") / 1_000)
    bars = market.frame("daily", {"trade_date": "20261120"}, 1_000).sort("ts_code")
    names = ["ts_code", "open", "high", "low", "close", "pre_close", "vol", "amount"]
    assert_frame_equal(end.select(names), bars.select(names))


def test_prices_move_from_snapshot_to_snapshot_and_are_the_same_again(
    market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = at(market, monkeypatch, "10:30:00"), at(market, monkeypatch, "10:30:03")
    assert (first["close"] != second["close"]).mean() > 0.3
    assert at(market, monkeypatch, "10:30:00").equals(first)


def test_one_code_is_what_it_is_among_all(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = at(market, monkeypatch, "10:30:00")
    code = whole["ts_code"][7]
    assert at(market, monkeypatch, "10:30:00", ts_code=code).equals(whole.filter(pl.col("ts_code") == code))


def test_before_the_session_begins_the_last_one_stands(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    before = at(market, monkeypatch, "09:14:59")
    assert set(before["trade_time"]) == {"2026-11-19 15:00:00"}


def test_patterns_name_boards(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    found = at(market, monkeypatch, "10:30", ts_code="688*.SH,920*.BJ")["ts_code"]
    assert set(found.str.slice(0, 3)) == {"688", "920"}
