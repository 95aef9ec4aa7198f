"""Indexes and funds of the simulated exchange follow its stocks, from their first day on, within their limits."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from quant_pipeline.sandbox.simulation.company_names import INDUSTRIES
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

EVERY = 10**7


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    """A long one: funds drift far enough to be split, and merged again."""
    return SimulatedMarket(Exchange(codes=500))


@pytest.fixture
def funds(market: SimulatedMarket) -> pl.DataFrame:
    bars, factors = market.frame("fund_daily", {}, EVERY), market.frame("fund_adj", {}, EVERY)
    both = bars.join(factors, on=["ts_code", "trade_date"]).sort("ts_code", "trade_date")
    return both.with_columns(
        last_close=pl.col("close").shift().over("ts_code"), last_factor=pl.col("adj_factor").shift().over("ts_code")
    )


def test_a_fund_keeps_within_ten_percent(funds: pl.DataFrame) -> None:
    tick = 0.0006
    assert funds.filter(pl.col("high") > pl.col("pre_close") * 1.1 + tick).is_empty()
    assert funds.filter(pl.col("low") < pl.col("pre_close") * 0.9 - tick).is_empty()


def test_the_factor_links_close_and_pre_close_over_twenty_years(funds: pl.DataFrame) -> None:
    linked = funds.drop_nulls("last_close")
    gap = linked["last_close"] * linked["last_factor"] / linked["adj_factor"] - linked["pre_close"]
    assert gap.abs().max() < 1e-5  # type: ignore[operator]


def test_funds_are_no_penny_stocks(funds: pl.DataFrame) -> None:
    assert funds["close"].min() >= 0.2  # type: ignore[operator]


@pytest.mark.parametrize("day", ["20300603", "20400601"])
def test_new_funds_are_listed_after_the_present_too(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    market = SimulatedMarket(Exchange(codes=200, first_year=int(day[:4])))
    monkeypatch.setenv("QUANT_NOW", f"{day[:4]}-{day[4:6]}-{day[6:]}T18:00")
    assert market.frame("fund_basic", {"market": "E"}, EVERY).drop_nulls("list_date")["list_date"].max() > "2027"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("code", "launched"), [("000300.SH", "20050408"), ("000905.SH", "20070115"), ("000688.SH", "20200723")]
)
def test_an_index_begins_on_its_launch_day(market: SimulatedMarket, code: str, launched: str) -> None:
    assert market.frame("index_daily", {"ts_code": code}, EVERY)["trade_date"].min() == launched
    assert market.frame("index_basic", {"ts_code": code}, EVERY)["list_date"].to_list() == [launched]


def test_indexes_follow_the_market_and_industry_indexes_their_industry() -> None:
    exchange = Exchange(codes=2_000, first_year=2026)
    market = SimulatedMarket(exchange)
    year = exchange.year(2026)
    moves = np.where(year.trading, year.walk.close / year.walk.pre_close - 1, np.nan)

    def index(code: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        rows = market.frame("index_daily", {"ts_code": code, "start_date": "20260101"}, EVERY).sort("trade_date")
        return (rows["close"] / rows["pre_close"] - 1).to_numpy()

    broad = index("000300.SH")
    mean = np.nanmean(moves[: len(broad)], axis=1)
    assert np.corrcoef(broad, mean)[0, 1] > 0.9
    industry = [name for name, _ in INDUSTRIES].index("半导体")
    members = exchange.register.industry[year.events.codes] == industry
    excess = np.nanmean(moves[: len(broad), members], axis=1) - mean
    assert np.corrcoef(index(f"{399_800 + industry}.SZ") - mean, excess)[0, 1] > 0.6
