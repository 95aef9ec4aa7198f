"""The hot list: by the hour, in order, and never ahead of the clock."""

from __future__ import annotations

import orjson
import polars as pl
import pytest

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

A_LOT = 10**6
EVERY_LIST = {"is_new": "N", "market": "热股"}


def test_a_session_has_a_list_for_every_hour_and_one_in_the_evening(market: SimulatedMarket) -> None:
    lists = market.frame("ths_hot", {"trade_date": "20261119", **EVERY_LIST}, A_LOT)
    times = lists["rank_time"].unique().sort()
    assert times.to_list() == [f"2026-11-19 {time}:00" for time in ("09:30", "10:30", "11:30", "12:30", "13:30")] + [
        f"2026-11-19 {time}:00" for time in ("14:30", "15:30", "22:30")
    ]
    for time in times:
        assert lists.filter(pl.col("rank_time") == time)["rank"].to_list() == list(range(1, 101))
    assert not lists.select("rank_time", "ts_code").is_duplicated().any()
    assert lists.equals(lists.sort("rank_time", "rank", descending=[True, False]))
    hourly = [set(lists.filter(pl.col("rank_time") == time)["ts_code"]) for time in times]
    assert len(set.union(*hourly)) > 100


def test_the_last_list_tells_the_close_and_the_others_lie_in_the_days_range(market: SimulatedMarket) -> None:
    day = {"trade_date": "20261119"}
    bars = market.frame("daily", day, A_LOT)
    last = market.frame("ths_hot", day, A_LOT).join(bars, on="ts_code")
    assert last["rank_time"].unique().to_list() == ["2026-11-19 22:30:00"]
    assert (last["current_price"] == last["close"]).all()
    assert (last["pct_change"] - last["pct_chg"]).abs().max() < 0.0051
    every = market.frame("ths_hot", {**day, **EVERY_LIST}, A_LOT).join(bars, on="ts_code")
    assert every.select(pl.col("current_price").is_between("low", "high").all()).item()
    # the market's business is done in the hot stocks
    assert last["amount"].median() > 1.5 * bars["amount"].median()


@pytest.mark.parametrize(
    ("moment", "newest"),
    [
        ("2026-11-20T09:29", "2026-11-19 22:30:00"),
        ("2026-11-20T09:30", "2026-11-20 09:30:00"),
        ("2026-11-20T13:29", "2026-11-20 12:30:00"),
        ("2026-11-20T22:29", "2026-11-20 15:30:00"),
        ("2026-11-21T12:00", "2026-11-20 22:30:00"),
    ],
)
def test_no_list_is_later_than_the_clock(
    market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch, moment: str, newest: str
) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, moment)
    assert market.frame("ths_hot", {}, A_LOT)["rank_time"].unique().to_list() == [newest]
    assert market.frame("ths_hot", EVERY_LIST, A_LOT)["rank_time"].max() == newest


def test_an_edition_ends_with_the_hour(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    editions = set()
    for moment in ("12:29", "12:30", "13:30", "22:30"):
        monkeypatch.setenv(clock.NOW_VARIABLE, f"2026-11-20T{moment}")
        editions.add(market.edition())
    assert len(editions) == 4


def test_what_was_once_hot_stays_so(market: SimulatedMarket, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"trade_date": "20250318", **EVERY_LIST}
    late = market.frame("ths_hot", asked, A_LOT)
    monkeypatch.setenv(clock.NOW_VARIABLE, "2025-03-18T23:00")
    assert SimulatedMarket(exchange).frame("ths_hot", asked, A_LOT).equals(late)
    names = market.frame("stock_basic", {}, A_LOT).select("ts_code", "name")
    assert late.join(names, on="ts_code").select((pl.col("ts_name") == pl.col("name")).all()).item()


def test_tags_are_concepts_of_the_stock(market: SimulatedMarket) -> None:
    first = market.frame("ths_hot", {}, A_LOT).filter(pl.col("concept") != "[]").row(0, named=True)
    boards = market.frame("ths_index", {"type": "N"}, A_LOT)
    of_stock = market.frame("ths_member", {"con_code": first["ts_code"]}, A_LOT)["ts_code"]
    names = set(boards.filter(pl.col("ts_code").is_in(of_stock.implode()))["name"])
    assert set(orjson.loads(first["concept"])) <= names


def test_other_lists_and_codes(market: SimulatedMarket) -> None:
    assert len(market.frame("ths_hot", {"market": "ETF"}, A_LOT)) == 0
    assert len(market.frame("ths_hot", {"trade_date": "20261121"}, A_LOT)) == 0
    code = market.frame("ths_hot", {}, A_LOT)["ts_code"][3]
    assert market.frame("ths_hot", {"ts_code": code}, A_LOT)["rank"].to_list() == [4]
