"""Indexes, funds and bonds of the simulated exchange keep the rules of their data sets, day by day and code by code."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.codes import Board, board
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    CB_DAILY,
    CONVERTIBLE_BONDS,
    ETF_ADJ,
    ETF_DAILY,
    ETF_LIST,
    INDEX_DAILY,
    INDEX_LIST,
)
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

SESSIONS = frozenset(xshg().sessions)
EVERY = 100_000
BARS = [("fund_daily", ETF_DAILY), ("cb_daily", CB_DAILY), ("fund_adj", ETF_ADJ)]


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(Exchange(codes=200, first_year=2025))


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


@pytest.mark.parametrize(("api", "dataset"), BARS)
@pytest.mark.parametrize("day", ["20250102", "20260306", "20261120"])
def test_every_bar_of_a_session_keeps_the_rules(market: SimulatedMarket, api: str, dataset: Dataset, day: str) -> None:
    rows = market.frame(api, {"trade_date": day}, EVERY)
    checked = validate(dataset, rows, expected_session=dt.date(int(day[:4]), int(day[4:6]), int(day[6:])), sessions=SESSIONS)
    assert checked.bad.is_empty(), checked.bad.head(3)
    assert checked.good.height >= 3


@pytest.mark.parametrize(
    ("api", "params", "dataset"),
    [
        ("fund_basic", {"market": "E"}, ETF_LIST),
        ("cb_basic", {}, CONVERTIBLE_BONDS),
        ("index_basic", {"market": "SSE"}, INDEX_LIST),
        ("index_basic", {"market": "CSI"}, INDEX_LIST),
        ("index_daily", {"ts_code": "000300.SH"}, INDEX_DAILY),
    ],
)
def test_every_list_keeps_the_rules(market: SimulatedMarket, api: str, params: dict[str, str], dataset: Dataset) -> None:
    checked = validate(dataset, market.frame(api, params, EVERY), expected_session=None, sessions=SESSIONS)
    assert checked.bad.is_empty(), checked.bad.head(3)
    assert checked.good.height > 1 or params.get("market") == "CSI"


@pytest.mark.parametrize(("api", "dataset"), BARS)
def test_by_session_and_by_code_they_are_the_same(market: SimulatedMarket, api: str, dataset: Dataset) -> None:
    days = [f"{day:%Y%m%d}" for day in xshg().between(dt.date(2025, 12, 25), dt.date(2026, 1, 9))]
    by_day = pl.concat([market.frame(api, {"trade_date": day}, EVERY) for day in days])
    codes = by_day["ts_code"].unique().to_list()
    span = {"start_date": days[0], "end_date": days[-1]}
    by_code = pl.concat([market.frame(api, {"ts_code": code, **span}, EVERY) for code in codes])
    assert by_day.sort(dataset.key).equals(by_code.sort(dataset.key))


def test_a_session_is_the_same_whatever_was_asked_before() -> None:
    asked, fresh = (SimulatedMarket(Exchange(codes=200, first_year=2024)) for _ in range(2))
    asked.frame("fund_daily", {"trade_date": "20240105"}, EVERY)
    day = {"trade_date": "20261119"}
    for api, _ in BARS:
        assert asked.frame(api, day, EVERY).equals(fresh.frame(api, day, EVERY))


def test_nothing_is_told_before_its_time(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T10:00")
    assert market.frame("fund_daily", {"trade_date": "20261120"}, EVERY).is_empty()
    assert not market.frame("fund_adj", {"trade_date": "20261120"}, EVERY).is_empty()
    assert market.frame("cb_daily", {"trade_date": "20261120"}, EVERY).is_empty()
    assert market.frame("index_daily", {"ts_code": "000001.SH"}, EVERY)["trade_date"][0] == "20261119"


def test_the_core_indexes_are_there_and_an_index_must_be_named(market: SimulatedMarket) -> None:
    for code in INDEX_DAILY.codes:
        assert market.frame("index_daily", {"ts_code": code, "trade_date": "20261120"}, EVERY).height == 1
    with pytest.raises(ParameterError, match="ts_code"):
        market.frame("index_daily", {"trade_date": "20261120"}, EVERY)


def test_codes_are_of_their_boards_and_bonds_hang_on_listed_stocks(market: SimulatedMarket) -> None:
    funds = market.frame("fund_basic", {"market": "E"}, EVERY)["ts_code"]
    assert {board(code) for code in funds} == {Board.ETF}
    bonds = market.frame("cb_basic", {}, EVERY)
    assert {board(code) for code in bonds["ts_code"]} == {Board.CONVERTIBLE_BOND}
    assert bonds["ts_code"].is_unique().all()
    stocks = market.frame("stock_basic", {"list_status": "L"}, EVERY)["ts_code"]
    assert set(bonds.filter(pl.col("delist_date").is_null())["stk_code"]) <= set(stocks)


def test_a_split_moves_the_factor_and_the_price_by_the_same_step() -> None:
    market = SimulatedMarket(Exchange(codes=2_000, first_year=2024))
    bars = market.frame("fund_daily", {}, EVERY).join(market.frame("fund_adj", {}, EVERY), on=["ts_code", "trade_date"])
    chained = bars.sort("ts_code", "trade_date").with_columns(
        step=(pl.col("adj_factor") / pl.col("adj_factor").shift().over("ts_code")),
        gap=(pl.col("close").shift().over("ts_code") / pl.col("pre_close")),
    )
    split = chained.filter(pl.col("step") > 1.5)
    assert split.height > 0
    assert (split["step"] / split["gap"] - 1).abs().max() < 0.003  # type: ignore[operator]
    assert (chained.filter(pl.col("step") == 1)["gap"] - 1).abs().max() < 1e-9  # type: ignore[operator]
