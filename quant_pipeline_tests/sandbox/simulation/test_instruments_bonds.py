"""Convertible bonds of the simulated exchange hang on their stocks, day by day, over ex-dates, halts and years."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

EVERY = 10**7
NOW = dt.date(2026, 11, 20)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(Exchange(codes=1_000, first_year=2023))


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", f"{NOW}T18:00")


@pytest.fixture
def bars(market: SimulatedMarket) -> pl.DataFrame:
    rows = market.frame("cb_daily", {}, EVERY).sort("ts_code", "trade_date")
    return rows.with_columns(last_close=pl.col("close").shift().over("ts_code"))


@pytest.fixture
def listed(market: SimulatedMarket) -> pl.DataFrame:
    return market.frame("cb_basic", {}, EVERY)


def test_a_bond_has_no_ex_dates(bars: pl.DataFrame) -> None:
    """pre_close is the close before, whatever its stock paid or however long it was halted."""
    linked = bars.drop_nulls("last_close")
    assert linked.height > 10_000
    assert linked.filter(pl.col("pre_close") != pl.col("last_close")).is_empty()


def test_an_ex_date_lowers_the_conversion_price(market: SimulatedMarket, listed: pl.DataFrame) -> None:
    factors = market.frame("adj_factor", {"start_date": "20260101"}, EVERY).sort("trade_date")
    factor = pl.col("adj_factor")
    ex = factors.group_by("ts_code", maintain_order=True).agg(before=factor.first(), after=factor.last())
    young = listed.filter(pl.col("delist_date").is_null() & (pl.col("list_date") >= "2026"))
    paid = young.join(ex, left_on="stk_code", right_on="ts_code").filter(pl.col("after") > pl.col("before") * 1.002)
    assert paid.height > 0
    expected = paid["first_conv_price"] * paid["before"] / paid["after"]
    assert (paid["conv_price"] - expected).abs().max() <= 0.006  # type: ignore[operator]


def test_no_bond_moves_beyond_its_limit_or_falls_below_what_it_converts_into(bars: pl.DataFrame) -> None:
    assert bars.filter((pl.col("high") > pl.col("pre_close") * 1.2) | (pl.col("low") < pl.col("pre_close") * 0.8)).is_empty()
    assert bars.filter(pl.col("close") < pl.max_horizontal("cb_value", "bond_value")).is_empty()


@pytest.mark.parametrize("day", ["20230703", "20261120"])
def test_the_conversion_value_is_the_stocks_close_over_the_conversion_price(
    market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch, day: str
) -> None:
    monkeypatch.setenv("QUANT_NOW", f"{day}T18:00")
    terms = market.frame("cb_basic", {}, EVERY).select("ts_code", "stk_code", "conv_price")
    stocks = market.frame("daily", {"trade_date": day}, EVERY).select(stk_code="ts_code", share="close")
    both = market.frame("cb_daily", {"trade_date": day}, EVERY).join(terms, on="ts_code").join(stocks, on="stk_code")
    assert both.height >= 6
    assert (both["cb_value"] - both["share"] / both["conv_price"] * 100).abs().max() < 1e-4  # type: ignore[operator]


def test_bars_stand_between_listing_and_delisting(bars: pl.DataFrame, listed: pl.DataFrame) -> None:
    both = bars.join(listed, on="ts_code", how="left")
    assert both["list_date"].null_count() == 0
    early, late = pl.col("trade_date") < pl.col("list_date"), pl.col("trade_date") >= pl.col("delist_date")
    assert both.filter(early | late).is_empty()
    gone = listed.drop_nulls("delist_date")
    assert gone["delist_date"].max() <= f"{NOW:%Y%m%d}"  # type: ignore[operator]
    # some are called before they are due, the others last until then (the session on or after it)
    called = gone.filter(pl.col("delist_date") < pl.col("maturity_date"))
    assert 0 < called.height < gone.height


def test_there_are_bonds_from_2017_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    market = SimulatedMarket(Exchange(codes=60, first_year=2040))
    monkeypatch.setenv("QUANT_NOW", "2040-06-01T18:00")
    alive = market.frame("cb_basic", {}, EVERY).filter(pl.col("delist_date").is_null())
    assert alive.height >= 6
    assert market.frame("cb_daily", {"trade_date": "20400601"}, EVERY).height >= 6
    assert market.frame("cb_basic", {}, EVERY)["list_date"].min() < "2018"  # type: ignore[operator]


def test_a_page_is_a_beginning_of_the_whole_answer(market: SimulatedMarket) -> None:
    page = market.frame("cb_daily", {}, 100)
    assert page.height >= 100
    assert page.head(100).equals(market.frame("cb_daily", {}, EVERY).head(100))


def test_the_list_is_the_same_whatever_was_asked_before() -> None:
    asked, fresh = (SimulatedMarket(Exchange(codes=100, first_year=2023)) for _ in range(2))
    asked.frame("cb_daily", {"trade_date": "20230703"}, EVERY)
    asked.frame("daily", {"trade_date": "20240703"}, EVERY)
    assert asked.frame("cb_basic", {}, EVERY).equals(fresh.frame("cb_basic", {}, EVERY))
