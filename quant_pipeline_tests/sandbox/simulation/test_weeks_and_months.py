"""Weekly and monthly bars: what the daily ones give, of finished periods only."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import polars as pl
import pytest

from quant_pipeline.market import clock
from quant_pipeline.sandbox.simulation.simulated_market import SimulatedMarket

A_LOT = 10**6
LENGTHS = {"weekly": "W", "monthly": "M"}


def of_daily(market: SimulatedMarket, length: str, start: str, end: str) -> pd.DataFrame:
    """The bars that pandas makes of daily ones, the label being the last session that any code traded in."""
    daily = market.frame("daily", {"start_date": start, "end_date": end}, A_LOT).to_pandas()
    daily["day"] = pd.to_datetime(daily["trade_date"])
    daily["period"] = daily["day"].dt.to_period(LENGTHS[length])
    daily["growth"] = daily["close"] / daily["pre_close"]
    daily = daily.sort_values("day")
    label = daily.groupby("period")["trade_date"].max()
    bars = daily.groupby(["period", "ts_code"], as_index=False).agg(
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        growth=("growth", "prod"),
        vol=("vol", "sum"),
        amount=("amount", "sum"),
    )
    bars["trade_date"] = bars["period"].map(label)
    return bars.set_index(["trade_date", "ts_code"]).sort_index()


@pytest.mark.parametrize("length", LENGTHS)
def test_bars_are_what_daily_bars_give(market: SimulatedMarket, length: str) -> None:
    """Over a turn of the year (2025-12-29 to 2026-01-02 is one week), with ex-dates and halts."""
    span = {"start_date": "20251201", "end_date": "20260731"}
    bars = market.frame(length, span, A_LOT)
    assert bars.equals(bars.sort("trade_date", "ts_code", descending=[True, False]))
    given = bars.to_pandas().set_index(["trade_date", "ts_code"]).sort_index()
    made = of_daily(market, length, "20251201", "20260731")
    assert given.index.equals(made.index)
    for column in ("open", "high", "low", "close"):
        assert (given[column] == made[column]).all()
    for column in ("vol", "amount"):
        assert (given[column] - made[column]).abs().max() < 0.001
    assert (given["pre_close"] - made["close"] / made["growth"]).abs().max() < 0.005 + 1e-9
    assert (given["change"] - (given["close"] - given["pre_close"])).abs().max() < 1e-6
    growth = (given["close"] / given["pre_close"] - 1) * (1 if length == "weekly" else 100)
    assert (given["pct_chg"] - growth).abs().max() < 1e-4
    halted = made.groupby("ts_code").size()
    assert halted.min() < halted.max()


@pytest.mark.parametrize("length", LENGTHS)
def test_the_former_close_is_adjusted_for_ex_dates(market: SimulatedMarket, length: str) -> None:
    span = {"start_date": "20260401", "end_date": "20260731"}
    bars = market.frame(length, span, A_LOT)
    factors = market.frame("adj_factor", span, A_LOT).rename({"adj_factor": "factor"})
    former = bars.join(factors, on=("ts_code", "trade_date")).sort("ts_code", "trade_date")
    former = former.with_columns(pl.col("close", "factor").shift(1).over("ts_code").name.prefix("former_"))
    adjusted = former.drop_nulls().with_columns(expected=pl.col("former_close") * pl.col("former_factor") / pl.col("factor"))
    assert adjusted.select((pl.col("factor") > pl.col("former_factor")).sum()).item() > 20
    assert adjusted.select((pl.col("pre_close") - pl.col("expected")).abs().max()).item() < 0.011


@pytest.mark.parametrize(
    ("length", "moment", "newest"),
    [
        ("weekly", "2026-11-20T15:59", "20261113"),
        ("weekly", "2026-11-20T16:00", "20261120"),
        ("weekly", "2026-11-22T12:00", "20261120"),
        ("weekly", "2026-09-30T18:00", "20260930"),  # Thursday and Friday are the National Day's
        ("monthly", "2026-11-27T18:00", "20261030"),
        ("monthly", "2026-11-30T15:59", "20261030"),
        ("monthly", "2026-11-30T16:00", "20261130"),
        ("monthly", "2026-10-31T12:00", "20261030"),
    ],
)
def test_a_period_appears_when_its_last_session_is_over(
    market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch, length: str, moment: str, newest: str
) -> None:
    monkeypatch.setenv(clock.NOW_VARIABLE, moment)
    assert market.frame(length, {}, 1)["trade_date"][0] == newest


def test_only_labels_have_rows(market: SimulatedMarket) -> None:
    assert len(market.frame("weekly", {"trade_date": "20261119"}, A_LOT)) == 0
    assert len(market.frame("monthly", {"trade_date": "20261031"}, A_LOT)) == 0
    assert len(market.frame("monthly", {"trade_date": "20261030"}, A_LOT)) > 200


def test_codes_and_rows_choose_bars(market: SimulatedMarket) -> None:
    whole = market.frame("weekly", {"start_date": "20260101"}, A_LOT)
    code = whole["ts_code"][0]
    asked = {"ts_code": code, "start_date": "20260101"}
    assert market.frame("weekly", asked, A_LOT).equals(whole.filter(pl.col("ts_code") == code))
    few = market.frame("weekly", {}, 1_000)
    assert 1_000 <= len(few) < len(whole)
    assert few.equals(whole.head(len(few)))
    assert len(market.frame("weekly", {"ts_code": "999999.SZ"}, A_LOT)) == 0
    years = market.frame("monthly", {"ts_code": code}, A_LOT)["trade_date"]
    assert all(later > earlier for later, earlier in pairwise(years))
    assert years[-1] < "20200101" < years[0]
