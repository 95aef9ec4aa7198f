"""Every data set through the unmodified client: each row keeps its spec's rules, and is what the exchange says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl
import pytest

from quant_pipeline.market.codes import Board, board_of
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    BSE_MAPPING,
    DIVIDENDS,
    ETF_LIST,
    INDEX_DAILY,
    INDEX_LIST,
    INDEX_WEIGHTS,
    SOURCED,
    STOCK_LIST,
    THS_CONCEPTS,
    THS_HOT,
    THS_MEMBERS,
)
from quant_pipeline.market.validation import validate
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sandbox.rehearsal import Rehearsal, running
from quant_pipeline.sandbox.simulation.exchange import Exchange
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket
from quant_pipeline.sources.base import Tally
from quant_pipeline.sources.limiter import Limiter
from quant_pipeline.sources.policy import RatePolicy
from quant_pipeline.sources.tushare import TushareSource
from quant_pipeline.sources.units import Grain, Unit
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

FREE = {"tushare": {"*": RatePolicy(per_minute=None, per_second=None, retries=0)}}
SESSION = dt.date(2026, 11, 20)
"""The last session of a week; the month's before it was OCTOBER."""
OCTOBER = dt.date(2026, 10, 30)
EX_DATE = dt.date(2026, 6, 18)
"""A session in which several shares go ex."""
CODE_OF = {"etf_list": "fund_daily", "convertible_bonds": "cb_daily", "stock_list": "daily"}
"""Universe -> the API that names one of its codes."""
CASES = [(name, grain) for name, serving in TushareSource.servings.items() for grain in serving.grains]
A_LOT = 10**6


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(Exchange(codes=300, first_year=2025))


@pytest.fixture(scope="module")
def rehearsal(market: SimulatedMarket) -> Iterator[Rehearsal]:
    with running(market, quotas={"*": None}) as rehearsal:
        yield rehearsal


@pytest.fixture
def source(rehearsal: Rehearsal, warehouse: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[TushareSource]:
    monkeypatch.setenv("QUANT_NOW", f"{SESSION}T23:00")
    presence = Presence(warehouse.connect())
    yield TushareSource(rehearsal.token, rehearsal.tushare_url, xshg(), Limiter(warehouse.pool, presence), FREE)
    presence.close()


def sound(source: TushareSource, market: SimulatedMarket, dataset: Dataset, unit: Unit) -> pl.DataFrame:
    """The rows of a unit; every one of them must be good."""
    frame = source.fetch(dataset, unit, Tally())
    expected = unit.start if unit.grain is Grain.SESSION else None
    sessions = market.exchange.sessions.days.astype(object).tolist()
    checked = validate(dataset, frame, expected_session=expected, sessions=sessions)
    assert checked.bad.is_empty(), checked.bad
    return checked.good


def unit_of(market: SimulatedMarket, dataset: Dataset, grain: Grain) -> Unit:
    day = OCTOBER if dataset.periodic and dataset.name != "weekly_kline" else SESSION
    if dataset is DIVIDENDS:
        day = EX_DATE
    match grain:
        case Grain.SNAPSHOT:
            return Unit.snapshot(day)
        case Grain.SESSION:
            return Unit.session(day)
        case Grain.MEMBERS:
            return Unit.members("881101.TI", day)
        case Grain.CODE:
            if dataset is INDEX_DAILY:
                code = "000300.SH"
            elif dataset is DIVIDENDS:
                code = market.frame("dividend", {"ex_date": f"{day:%Y%m%d}"}, 1)["ts_code"][0]
            elif dataset.name == "suspensions":
                code = market.frame("suspend_d", {}, 1)["ts_code"][0]
            else:
                api = CODE_OF[dataset.universe[0]]
                code = market.frame(api, {"trade_date": f"{day:%Y%m%d}"}, A_LOT)["ts_code"][0]
            return Unit.code(code, dt.date(2026, 6, 1), day)


def test_every_data_set_is_served() -> None:
    assert set(TushareSource.servings) == set(SOURCED)


@pytest.mark.parametrize(("name", "grain"), CASES)
def test_every_row_keeps_the_rules(source: TushareSource, market: SimulatedMarket, name: str, grain: Grain) -> None:
    dataset = SOURCED[name]
    unit = unit_of(market, dataset, grain)
    rows = sound(source, market, dataset, unit)
    assert len(rows) > 0
    if grain is Grain.CODE:
        assert rows["ts_code"].unique().to_list() == [unit.ts_code]
        assert unit.start <= rows["trade_date"].min() <= rows["trade_date"].max() <= unit.end
    if grain is Grain.MEMBERS:
        assert rows["ts_code"].unique().to_list() == [unit.ts_code]
    required = [column.name for column in dataset.columns if column.required]
    assert rows.select(pl.col(required).null_count()).sum_horizontal().item() == 0


@pytest.mark.parametrize(("name", "grain"), CASES)
def test_the_calls_are_the_planned_ones(source: TushareSource, market: SimulatedMarket, name: str, grain: Grain) -> None:
    tally = Tally()
    rows = source.fetch(SOURCED[name], unit_of(market, SOURCED[name], grain), tally)
    serving = source.servings[name]
    assert tally.calls == serving.calls_for(len(rows), grain)


@pytest.mark.parametrize("name", sorted(TushareSource.servings))
def test_just_the_columns_of_the_spec_are_asked_for(source: TushareSource, market: SimulatedMarket, name: str) -> None:
    dataset = SOURCED[name]
    frame = source.fetch(dataset, unit_of(market, dataset, source.servings[name].grains[0]), Tally())
    assert tuple(frame.columns) == dataset.column_names


def test_lists_hold_every_part(source: TushareSource, market: SimulatedMarket) -> None:
    now = Unit.snapshot(SESSION)
    assert set(sound(source, market, STOCK_LIST, now)["list_status"]) == {"L", "D"}
    assert set(sound(source, market, INDEX_LIST, now)["market"]) == {"SSE", "SZSE", "CSI"}
    assert set(sound(source, market, THS_CONCEPTS, now)["type"]) == {"N", "R", "S", "ST", "TH", "BB"}


def test_only_etfs_are_in_the_list_of_etfs(source: TushareSource, market: SimulatedMarket) -> None:
    funds = market.frame("fund_basic", {"market": "E"}, A_LOT)
    etfs = sound(source, market, ETF_LIST, Unit.snapshot(SESSION))
    assert etfs.select((board_of(pl.col("ts_code")) == Board.ETF.value).all()).item()
    assert set(etfs["ts_code"]) == set(funds.filter(board_of(pl.col("ts_code")) == Board.ETF.value)["ts_code"])


def test_members_are_those_of_the_board(source: TushareSource, market: SimulatedMarket) -> None:
    concept = market.frame("ths_index", {"type": "N"}, A_LOT).row(0, named=True)
    members = sound(source, market, THS_MEMBERS, Unit.members(concept["ts_code"], SESSION))
    assert len(members) == concept["count"]


def test_every_hot_list_of_the_session_comes(source: TushareSource, market: SimulatedMarket) -> None:
    lists = sound(source, market, THS_HOT, Unit.session(SESSION))
    assert lists["rank_time"].n_unique() == 8
    assert lists["data_type"].unique().to_list() == ["热股"]


def test_a_list_that_is_rightly_empty_has_its_columns(
    source: TushareSource, market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANT_NOW", "2025-10-08T18:00")
    assert sound(source, market, BSE_MAPPING, Unit.snapshot(dt.date(2025, 9, 30))).is_empty()


def test_only_dividends_that_were_carried_out_come(source: TushareSource, market: SimulatedMarket) -> None:
    code = market.frame("dividend", {"ex_date": f"{EX_DATE:%Y%m%d}"}, 1)["ts_code"][0]
    told = market.frame("dividend", {"ts_code": code}, A_LOT)
    assert set(told["div_proc"]) == {"预案", "股东大会通过", "实施"}
    rows = sound(source, market, DIVIDENDS, Unit.code(code, dt.date(2025, 1, 2), SESSION))
    assert len(rows) == (told["div_proc"] == "实施").sum()
    assert rows["trade_date"].equals(rows["ex_date"].alias("trade_date"))


def test_a_session_without_an_ex_date_is_empty_and_has_its_columns(source: TushareSource, market: SimulatedMarket) -> None:
    rows = sound(source, market, DIVIDENDS, Unit.session(SESSION))
    assert rows.is_empty()


def test_members_of_an_index_bear_the_month_s_label_and_our_code(source: TushareSource, market: SimulatedMarket) -> None:
    members = sound(source, market, INDEX_WEIGHTS, Unit.session(OCTOBER))
    assert set(members["index_code"]) == {"000016.SH", "000300.SH", "000905.SH", "000852.SH"}
    assert members.select("trade_date", "as_of").unique().rows() == [(OCTOBER, OCTOBER)]
    assert members.group_by("index_code").agg((pl.col("weight").sum() - 100).abs() < 0.1)["weight"].all()
    hs300 = market.frame("index_weight", {"index_code": "399300.SZ", "trade_date": f"{OCTOBER:%Y%m%d}"}, A_LOT)
    assert set(members.filter(pl.col("index_code") == "000300.SH")["con_code"]) == set(hs300["con_code"])


def test_a_month_that_still_runs_has_the_members_of_the_one_before(source: TushareSource, market: SimulatedMarket) -> None:
    members = sound(source, market, INDEX_WEIGHTS, Unit.session(SESSION))
    assert members.select("trade_date", "as_of").unique().rows() == [(SESSION, OCTOBER)]


BAR = "ts_code trade_date open high low close pre_close change pct_chg vol amount"
DOCUMENTED = {
    "stock_list": "ts_code symbol name area industry fullname enname cnspell market exchange curr_type list_status list_date "
    "delist_date is_hs act_name act_ent_type",  # doc 25
    "trade_calendar": "exchange cal_date is_open pretrade_date",  # doc 26
    "daily_kline": BAR,  # doc 27
    "adj_factor": "ts_code trade_date adj_factor",  # doc 28
    "daily_basic": "ts_code trade_date close turnover_rate turnover_rate_f volume_ratio pe pe_ttm pb ps ps_ttm dv_ratio dv_ttm "
    "total_share float_share free_share total_mv circ_mv",  # doc 32
    "name_history": "ts_code name start_date end_date ann_date change_reason",  # doc 100
    "weekly_kline": BAR,  # doc 144
    "monthly_kline": BAR,  # doc 145
    "price_limits": "trade_date ts_code pre_close up_limit down_limit",  # doc 183
    "suspensions": "ts_code trade_date suspend_timing suspend_type",  # doc 214
    "index_list": "ts_code name fullname market publisher index_type category base_date base_point list_date weight_rule desc "
    "exp_date",  # doc 94
    "index_daily": BAR,  # doc 95
    "dividends": "ts_code trade_date end_date ann_date div_proc stk_div stk_bo_rate stk_co_rate cash_div cash_div_tax "
    "record_date ex_date pay_date div_listdate imp_ann_date",  # doc 103, without base_date and base_share; trade_date is ours
    "index_weights": "index_code con_code trade_date weight as_of",  # doc 96; as_of is ours
    "etf_daily": BAR,  # doc 127
    "etf_adj": "ts_code trade_date adj_factor",  # doc 199
    "cb_daily": f"{BAR} bond_value bond_over_rate cb_value cb_over_rate",  # doc 187
    "ths_concepts": "ts_code name count exchange list_date type",  # doc 259
    "ths_members": "ts_code con_code con_name weight in_date out_date is_new",  # doc 261
    "ths_hot": "trade_date data_type ts_code ts_name rank pct_change current_price concept rank_reason hot "
    "rank_time",  # doc 320
    "auction": "ts_code trade_date close open high low vol amount vwap",  # doc 353, stk_auction_o
}
"""What Tushare's pages (document/2?doc_id=…) name as the output of the API behind a data set."""


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_column_that_tushare_documents_is_stored(name: str) -> None:
    assert set(SOURCED[name].column_names) == set(DOCUMENTED[name].split())


def test_what_tushare_only_gives_when_it_is_asked_for_is_asked_for(source: TushareSource, market: SimulatedMarket) -> None:
    bonds = sound(source, market, SOURCED["cb_daily"], Unit.session(SESSION))
    assert bonds.select(pl.col("bond_value", "bond_over_rate").null_count()).row(0) == (0, 0)
    off = ((bonds["close"] / bonds["bond_value"] - 1) * 100 - bonds["bond_over_rate"]).abs().max()
    assert isinstance(off, float)
    assert off < 0.01
