"""The simulated indexes' members: the largest, reviewed twice a year, told after the month's end."""

from __future__ import annotations

import polars as pl
import pytest

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

A_LOT = 10**7


def members(market: SimulatedMarket, index: str, day: str) -> pl.DataFrame:
    return market.frame("index_weight", {"index_code": index, "trade_date": day}, A_LOT)


def test_a_month_s_members_appear_the_day_after(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-10-30T23:00")
    assert members(market, "399300.SZ", "20261030").is_empty()
    monkeypatch.setenv(clock.NOW_VARIABLE, "2026-10-31T03:00")
    assert len(members(market, "399300.SZ", "20261030")) > 5
    newest = market.frame("index_weight", {"index_code": "399300.SZ"}, 1)
    assert newest["trade_date"].unique().to_list() == ["20261030"]


def test_members_are_those_of_the_last_review_and_weights_a_hundred_percent(market: SimulatedMarket) -> None:
    def codes(index: str, day: str) -> set[str]:
        rows = members(market, index, day)
        assert rows["weight"].sum() == pytest.approx(100, abs=0.05)
        assert rows["weight"].is_sorted(descending=True)
        return set(rows["con_code"])

    assert codes("399300.SZ", "20260731") == codes("000300.SH", "20260831")
    assert codes("399300.SZ", "20260529") != codes("399300.SZ", "20260630"), "a review took effect in June"
    assert not codes("000300.SH", "20260731") & codes("000905.SH", "20260731")
    assert all(code.endswith(".SH") for code in codes("000016.SH", "20260731"))
    old = codes("000300.SH", "20190329")
    gone = set(market.frame("stock_basic", {"list_status": "D"}, A_LOT)["ts_code"])
    assert old - codes("000300.SH", "20260731"), "who was a member then is not who is one now"
    assert not gone.isdisjoint(old) or len(old) < 20


def test_what_is_no_such_index_has_no_members(market: SimulatedMarket) -> None:
    assert members(market, "000001.SH", "20260731").is_empty()
    assert members(market, "000905.SH", "20260715").is_empty(), "no month's end"
    with pytest.raises(ParameterError, match="index_code"):
        market.frame("index_weight", {}, A_LOT)
