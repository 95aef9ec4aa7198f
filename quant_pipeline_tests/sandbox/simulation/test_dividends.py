"""The simulated dividends are what moved the prices, and are told when they would have been."""

from __future__ import annotations

import polars as pl
import pytest

from quant_pipeline.market import clock
from quant_pipeline.market.trading_rules import CASH_PARTS, SHARE_PARTS, ex_rights_price
from quant_pipeline.sandbox.simulation.interface import ParameterError
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

A_LOT = 10**7
WINDOW = {"start_date": "20251201", "end_date": "20261120"}


def carried_out(market: SimulatedMarket, **asked: str) -> pl.DataFrame:
    return market.frame("dividend", asked, A_LOT).filter(pl.col("div_proc") == "实施")


def test_the_dividends_explain_every_step_of_the_factors(market: SimulatedMarket) -> None:
    codes = market.frame("stock_basic", {}, A_LOT)["ts_code"]
    paid = carried_out(market, ts_code=",".join(codes)).filter(pl.col("ex_date").str.head(4) == "2026")
    keys = ["ts_code", "trade_date"]
    bars = market.frame("daily", WINDOW, A_LOT).sort(keys)
    factors = market.frame("adj_factor", WINDOW, A_LOT)
    before = bars.join(factors, on=keys).sort(keys).with_columns(last_close=pl.col("close").shift().over("ts_code"))
    stepped = before.with_columns(step=pl.col("adj_factor") / pl.col("adj_factor").shift().over("ts_code"))
    stepped = stepped.filter((pl.col("step") > 1 + 1e-9) & (pl.col("trade_date") >= "2026"))
    rows = stepped.join(paid.rename({"ex_date": "trade_date"}), on=keys, how="full", coalesce=True)
    rows = rows.filter(pl.col("ts_code").is_in(codes.implode()))
    assert rows.height > 100
    assert rows.select(pl.col("close", "cash_div_tax").null_count()).row(0) == (0, 0), "each step has its dividend"
    for last, cash, shares, pre, step in rows.select("last_close", "cash_div_tax", "stk_div", "pre_close", "step").iter_rows():
        counted = ex_rights_price(round(last * 100), round(cash * CASH_PARTS), round(shares * SHARE_PARTS))
        assert counted == round(pre * 100)
        assert step == pytest.approx(last / pre, rel=1e-5)
    assert rows["stk_bo_rate"].max() > 0  # type: ignore[operator]
    assert rows["stk_co_rate"].max() > 0  # type: ignore[operator]


def test_a_dividend_is_told_step_by_step(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    one = carried_out(market, ex_date="20260618").row(0, named=True)

    def stages(day: str) -> list[str]:
        monkeypatch.setenv(clock.NOW_VARIABLE, f"{day[:4]}-{day[4:6]}-{day[6:]}T09:00")
        of_year = market.frame("dividend", {"ts_code": one["ts_code"]}, A_LOT).filter(pl.col("end_date") == one["end_date"])
        return of_year["div_proc"].to_list()

    assert stages(one["ann_date"]) == ["预案"]
    assert stages(one["imp_ann_date"]) == ["实施", "股东大会通过", "预案"]
    assert stages("20260102") == []


def test_the_question_must_name_something(market: SimulatedMarket) -> None:
    with pytest.raises(ParameterError, match="ex_date"):
        market.frame("dividend", {}, A_LOT)
    assert market.frame("dividend", {"ex_date": "20261122"}, A_LOT).is_empty()
    assert market.frame("dividend", {"ts_code": "999999.SH"}, A_LOT).is_empty()


@pytest.mark.parametrize("name", ["ann_date", "record_date", "imp_ann_date"])
def test_other_days_can_be_asked_for(market: SimulatedMarket, name: str) -> None:
    one = carried_out(market, ex_date="20260618").row(0, named=True)
    found = market.frame("dividend", {name: one[name]}, A_LOT)
    assert found[name].unique().to_list() == [one[name]]
    assert one["ts_code"] in found["ts_code"]
