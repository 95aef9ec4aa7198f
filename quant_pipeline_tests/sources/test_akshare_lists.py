"""AKShare's lists, over the unmodified client and the sandbox's web sites: the same story as Tushare's, in AKShare's words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    CONVERTIBLE_BONDS,
    ETF_DAILY,
    ETF_LIST,
    STOCK_LIST,
    THS_CONCEPTS,
    THS_HOT,
    THS_INDUSTRIES,
)
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.sources.akshare import AkshareSource
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.failures import FailureClass, SourceError
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.sources.worker import ClientProcess
from quant_pipeline.warehouse.database import Database

SESSION = dt.date(2026, 11, 20)
EVERY = 100_000
UNHURRIED = {"akshare": {"*": RatePolicy(per_minute=None, per_second=None, concurrency=1, retries=0, trip=1_000)}}


@pytest.fixture(scope="module")
def exchange() -> Exchange:
    return Exchange(codes=300, first_year=2024)


@pytest.fixture(scope="module")
def market(exchange: Exchange) -> SimulatedMarket:
    return SimulatedMarket(exchange)


@pytest.fixture(scope="module")
def rehearsal(exchange: Exchange) -> Iterator[Rehearsal]:
    with running(exchange) as rehearsal:
        yield rehearsal


@pytest.fixture(scope="module")
def client(rehearsal: Rehearsal) -> Iterator[ClientProcess]:
    """One for all tests: it takes AKShare a while to come up."""
    client = ClientProcess("quant_pipeline.sources.akshare.client", rehearsal.web_environment())
    yield client
    client.close()


@pytest.fixture
def sandbox(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    monkeypatch.setenv("QUANT_NOW", f"{SESSION}T18:00")
    yield rehearsal
    rehearsal.clear_faults()


@pytest.fixture
def source(
    sandbox: Rehearsal, client: ClientProcess, warehouse: Database, limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> AkshareSource:
    source = AkshareSource(warehouse, sandbox.web_environment(), xshg(), limiter, UNHURRIED)
    monkeypatch.setattr(source, "_client", client)
    return source


def taken(source: AkshareSource, dataset: Dataset, unit: Unit, market: SimulatedMarket) -> pl.DataFrame:
    """The rows of a unit; every one of them must be sound."""
    frame = source.fetch(dataset, unit, Tally())
    sessions = market.exchange.sessions.days.astype(object).tolist()
    expected = unit.start if unit.grain is Grain.SESSION else None
    checked = validate(dataset, frame, expected_session=expected, sessions=sessions)
    assert checked.bad.is_empty(), checked.bad
    return checked.good


def refusal(source: AkshareSource, dataset: Dataset, unit: Unit) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.fetch(dataset, unit, Tally())
    return caught.value


def test_the_stock_list_is_tushares_listed_ones(source: AkshareSource, market: SimulatedMarket) -> None:
    stocks = taken(source, STOCK_LIST, Unit.snapshot(SESSION), market)
    columns = ["ts_code", "symbol", "name", "market", "exchange", "list_status"]
    assert_frame_equal(
        stocks.select(columns).sort("ts_code"), market.frame("stock_basic", {"list_status": "L"}, EVERY).select(columns)
    )
    assert stocks["list_date"].is_null().all()


def test_the_client_does_not_serve_an_older_list(
    source: AkshareSource, market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = taken(source, STOCK_LIST, Unit.snapshot(SESSION), market)
    monkeypatch.setenv("QUANT_NOW", "2025-03-03T18:00")
    then = taken(source, STOCK_LIST, Unit.snapshot(dt.date(2025, 3, 3)), market)
    assert set(then["ts_code"]) == set(market.frame("stock_basic", {}, EVERY)["ts_code"])
    assert set(then["ts_code"]) != set(now["ts_code"])


def test_the_industries_are_tushares_of_the_second_level(source: AkshareSource, market: SimulatedMarket) -> None:
    boards = taken(source, THS_INDUSTRIES, Unit.snapshot(SESSION), market)
    every = market.frame("ths_index", {"exchange": "A", "type": "I"}, EVERY).filter(pl.col("ts_code").str.starts_with("881"))
    columns = ["ts_code", "name", "exchange", "type"]
    assert_frame_equal(boards.select(columns).sort("ts_code"), every.select(columns).sort("ts_code"))


def concepts(market: SimulatedMarket) -> pl.DataFrame:
    """Tushare's concepts, without its regions and the like."""
    return market.frame("ths_index", {"exchange": "A", "type": "N"}, EVERY).sort("ts_code")


def test_concepts_have_the_codes_that_their_pages_hide(source: AkshareSource, market: SimulatedMarket) -> None:
    boards = taken(source, THS_CONCEPTS, Unit.snapshot(SESSION), market)
    columns = ["ts_code", "name", "exchange", "type"]
    assert_frame_equal(boards.select(columns).sort("ts_code"), concepts(market).select(columns))


def test_a_concepts_page_is_read_once(source: AkshareSource, sandbox: Rehearsal, market: SimulatedMarket) -> None:
    """A ban after half of the pages leaves the others to be read, and a later sync reads none."""
    boards = len(concepts(market))
    half = boards // 2
    listing = 1 + -(-boards // 10) + 1  # a page with all links, the first page of the table for its length, its pages
    sandbox.order_fault("html", server="akshare", api="ths", after=listing + half, times=None)
    assert refusal(source, THS_CONCEPTS, Unit.snapshot(SESSION)).failure is FailureClass.BANNED
    assert len(source.concept_pages.known()) == half > 5
    sandbox.clear_faults()
    tallies = [Tally(), Tally()]
    for tally in tallies:
        assert len(source.fetch(THS_CONCEPTS, Unit.snapshot(SESSION), tally)) == boards
    assert [tally.calls for tally in tallies] == [1 + boards - half, 1]


def test_a_page_that_names_no_code_costs_that_concept_only(
    source: AkshareSource, sandbox: Rehearsal, market: SimulatedMarket
) -> None:
    boards = len(concepts(market))
    sandbox.order_fault("empty", server="akshare", api="ths", after=1 + -(-boards // 10) + 1)
    assert len(source.fetch(THS_CONCEPTS, Unit.snapshot(SESSION), Tally())) == boards - 1
    assert len(source.fetch(THS_CONCEPTS, Unit.snapshot(SESSION), Tally())) == boards, "it is read again"


def test_a_block_page_in_place_of_a_concepts_is_a_ban_and_is_not_kept(
    source: AkshareSource, sandbox: Rehearsal, market: SimulatedMarket
) -> None:
    listing = 1 + -(-len(concepts(market)) // 10) + 1
    sandbox.order_fault("html", server="akshare", api="ths", after=listing)
    error = refusal(source, THS_CONCEPTS, Unit.snapshot(SESSION))
    assert (error.failure, error.api) == (FailureClass.BANNED, "ths")
    assert source.concept_pages.known() == {}


def test_the_etf_list_is_tushares_listed_ones(source: AkshareSource, market: SimulatedMarket) -> None:
    funds = taken(source, ETF_LIST, Unit.snapshot(SESSION), market)
    listed = market.frame("fund_basic", {"market": "E", "status": "L"}, EVERY)
    columns = ["ts_code", "name", "status"]
    assert_frame_equal(funds.select(columns).sort("ts_code"), listed.select(columns).sort("ts_code"))


def test_etf_bars_are_tushares_in_its_units(source: AkshareSource, market: SimulatedMarket) -> None:
    code = market.frame("fund_daily", {"trade_date": f"{SESSION:%Y%m%d}"}, EVERY)["ts_code"][0]
    bars = taken(source, ETF_DAILY, Unit.code(code, dt.date(2026, 9, 1), SESSION), market)
    asked = {"ts_code": code, "start_date": "20260901", "end_date": f"{SESSION:%Y%m%d}"}
    of_tushare = market.frame("fund_daily", asked, EVERY).with_columns(pl.col("trade_date").str.to_date("%Y%m%d"))
    assert len(bars) > 40
    untold = ["pre_close", "change", "pct_chg"]  # eastmoney's count from the raw close, wrong on an ex-date
    assert bars.select(untold).null_count().row(0) == (bars.height,) * 3
    told = bars.drop(untold)
    assert_frame_equal(told, of_tushare.select(told.columns).reverse(), abs_tol=0.006)


def test_an_etf_that_eastmoney_does_not_know_has_no_bars(source: AkshareSource, market: SimulatedMarket) -> None:
    assert taken(source, ETF_DAILY, Unit.code("588999.SH", SESSION, SESSION), market).is_empty()


def test_convertible_bonds_are_tushares_in_its_units(source: AkshareSource, market: SimulatedMarket) -> None:
    bonds = taken(source, CONVERTIBLE_BONDS, Unit.snapshot(SESSION), market)
    columns = ["ts_code", "bond_short_name", "stk_code", "stk_short_name", "issue_size", "list_date", "exchange", "conv_price"]
    every = market.frame("cb_basic", {}, EVERY).with_columns(pl.col("list_date").str.to_date("%Y%m%d"))
    assert_frame_equal(bonds.select(columns).sort("ts_code"), every.select(columns).sort("ts_code"), rel_tol=1e-9)


def test_the_hot_rank_keeps_each_codes_own_rank_when_a_quotation_is_missing(
    source: AkshareSource, market: SimulatedMarket
) -> None:
    """The client asks for BSE codes in Shanghai, gets no quotation for them, and shifts the names that follow."""
    ranks = taken(source, THS_HOT, Unit.session(SESSION), market)
    traded = market.frame("daily", {"trade_date": f"{SESSION:%Y%m%d}"}, EVERY)
    hottest = traded.sort("amount", "ts_code", descending=[True, False])["ts_code"].head(100)
    missing = hottest.str.ends_with(".BJ").sum()
    assert missing > 0
    assert ranks["ts_code"].to_list() == hottest.head(100 - missing).to_list()
    assert ranks["rank"].to_list() == list(range(1, 101 - missing))
    assert ranks["ts_name"].is_null().all()
    assert ranks["data_type"].unique().to_list() == ["东方财富人气榜"]
    assert ranks["rank_time"].unique().to_list() == ["2026-11-20 18:00:00"]


def test_the_hot_rank_has_no_past(source: AkshareSource, sandbox: Rehearsal) -> None:
    before = len(sandbox.calls(server="akshare"))
    error = refusal(source, THS_HOT, Unit.session(dt.date(2026, 11, 19)))
    assert error.failure is FailureClass.EMPTY
    assert len(sandbox.calls(server="akshare")) == before


@pytest.mark.parametrize(
    ("dataset", "site"),
    [(STOCK_LIST, "exchanges"), (THS_INDUSTRIES, "ths"), (CONVERTIBLE_BONDS, "eastmoney")],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_block_page_is_a_ban(source: AkshareSource, sandbox: Rehearsal, dataset: Dataset, site: str) -> None:
    sandbox.order_fault("html", server="akshare", api=site, times=None)
    error = refusal(source, dataset, Unit.snapshot(SESSION))
    assert error.failure is FailureClass.BANNED
    assert error.api == site


def test_a_block_page_instead_of_the_hot_rank_is_a_ban(source: AkshareSource, sandbox: Rehearsal) -> None:
    sandbox.order_fault("html", server="akshare", api="eastmoney", times=None)
    assert refusal(source, THS_HOT, Unit.session(SESSION)).failure is FailureClass.BANNED


def test_shenzhens_reply_that_is_no_workbook_is_tried_again(source: AkshareSource, sandbox: Rehearsal) -> None:
    sandbox.order_fault("html", server="akshare", api="exchanges", after=1)  # Shanghai is asked first
    error = refusal(source, STOCK_LIST, Unit.snapshot(SESSION))
    assert error.failure is FailureClass.RETRYABLE


def test_a_list_without_one_of_the_boards_is_no_list(source: AkshareSource, sandbox: Rehearsal) -> None:
    """A workbook with its head and no stocks is an answer to the client."""
    sandbox.order_fault("empty", server="akshare", api="exchanges", after=1)
    error = refusal(source, STOCK_LIST, Unit.snapshot(SESSION))
    assert error.failure is FailureClass.EMPTY
    assert "ChiNext" in error.text
