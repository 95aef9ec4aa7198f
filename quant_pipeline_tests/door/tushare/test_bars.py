"""`ts.pro_bar` over the door equals our own views, and the weeks and months of indexes what their days make."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import tushare as ts

from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline_tests.door.tushare.conftest import STEPPED, Door

SPAN: dict[str, Any] = {"start_date": "20260803", "end_date": "20260831"}
PRICES = ["open", "high", "low", "close"]
CENT = 0.005 + 1e-9


def viewed(door: Door, view: str) -> pd.DataFrame:
    """The view's rows, newest first, days as Tushare writes them."""
    query = (
        f"SELECT *, to_char(trade_date, 'YYYYMMDD') AS day FROM {view} "
        f"WHERE ts_code = '{STEPPED}' AND trade_date BETWEEN '2026-08-03' AND '2026-08-31' ORDER BY trade_date DESC"
    )
    return read_sql(door.platform.database, query).to_pandas()


@pytest.mark.parametrize("adjust", ["qfq", "hfq"])
def test_adjusted_days_are_the_view_s(door: Door, adjust: str) -> None:
    bars, ours = ts.pro_bar(ts_code=STEPPED, api=door.pro(), adj=adjust, **SPAN), viewed(door, f"daily_kline_{adjust}")
    assert bars["trade_date"].tolist() == ours["day"].tolist()
    for name in (*PRICES, "pre_close"):
        assert (bars[name] - ours[name]).abs().max() <= CENT, name
    assert bars["vol"].tolist() == ours["vol"].tolist()


def test_moving_averages_and_factors_are_those_of_the_stored_days(door: Door) -> None:
    bars = ts.pro_bar(ts_code=STEPPED, api=door.pro(), adj="qfq", ma=[5], factors=["tor", "vr"], **SPAN)
    ours = viewed(door, "daily_kline_qfq")
    averages = ours["close"].round(2)[::-1].rolling(5).mean()[::-1]
    assert (bars["ma5"] - averages.reset_index(drop=True)).abs().max() <= CENT
    basics = viewed(door, "daily_basic")
    assert bars["turnover_rate"].tolist() == basics["turnover_rate"].tolist()
    assert bars["volume_ratio"].tolist() == basics["volume_ratio"].tolist()


@pytest.mark.parametrize(("freq", "view"), [("W", "weekly_kline"), ("M", "monthly_kline")])
def test_weeks_and_months_are_the_view_s_as_far_as_they_are_over(door: Door, freq: str, view: str) -> None:
    bars, ours = ts.pro_bar(ts_code=STEPPED, api=door.pro(), freq=freq, adj="qfq", **SPAN), viewed(door, f"{view}_qfq")
    assert bars["trade_date"].tolist() == ours["day"].tolist()
    assert len(bars) == (4 if freq == "W" else 1)
    assert (bars["close"] - ours["close"]).abs().max() <= CENT
    raw = viewed(door, view).set_index("day").loc[bars["trade_date"]]
    plain = ts.pro_bar(ts_code=STEPPED, api=door.pro(), freq=freq, **SPAN)
    assert plain[PRICES].to_numpy().tolist() == raw[PRICES].to_numpy().tolist()


def test_pro_bar_vip_asks_the_names_with_vip(door: Door) -> None:
    asked = {"ts_code": STEPPED, "api": door.pro(), "adj": "qfq", **SPAN}
    pd.testing.assert_frame_equal(ts.pro_bar_vip(**asked), ts.pro_bar(**asked))


@pytest.mark.parametrize(("freq", "rule"), [("W", "W-FRI"), ("M", "ME")])
def test_weeks_and_months_of_an_index_are_made_of_its_days(door: Door, freq: str, rule: str) -> None:
    span = {"start_date": "20261009", "end_date": "20261113" if freq == "W" else "20261031"}
    bars = ts.pro_bar(ts_code="000300.SH", asset="I", freq=freq, api=door.pro(), **span)
    days = door.reference().index_daily(ts_code="000300.SH", start_date="20261001", end_date=span["end_date"])
    days = days.assign(day=pd.to_datetime(days["trade_date"])).sort_values("day").set_index("day").resample(rule)
    expected = days.agg(
        {
            "trade_date": "last",
            "open": "first",
            "high": "max",
            "low": "min",
            "close": "last",
            "pre_close": "first",
            "vol": "sum",
        }
    )[::-1]
    assert len(bars) == len(expected) > 0
    assert bars["trade_date"].tolist() == expected["trade_date"].tolist()
    for name in (*PRICES, "pre_close", "vol"):
        assert bars[name].tolist() == pytest.approx(expected[name].tolist(), abs=1e-4), name
    assert bars["pct_chg"].tolist() == pytest.approx((expected["close"] / expected["pre_close"] - 1).tolist(), abs=1e-6)


def test_the_week_and_the_month_that_go_on_are_not_told_yet(door: Door) -> None:
    assert door.platform.rows("SELECT count(*) FROM monthly_kline WHERE trade_date = '2026-11-20'")[0][0] > 0
    assert door.pro().monthly(trade_date="20261120").empty
    assert door.pro().index_monthly(ts_code="000300.SH", start_date="20261101").empty


def test_dividends_are_those_that_were_carried_out(door: Door) -> None:
    theirs = door.reference().dividend(ts_code=STEPPED)
    done = theirs[(theirs["div_proc"] == "实施") & (theirs["ex_date"] >= "20260803")].reset_index(drop=True)
    assert len(done) == 1
    asked = {"ts_code": STEPPED, "ex_date": done["ex_date"][0]}
    pd.testing.assert_frame_equal(door.pro().dividend(**asked), done, check_dtype=False)
    assert "已实施" in door.post(api_name="dividend", params=asked).json()["msg"]


def test_dividends_of_a_code_with_a_hole_in_the_sessions_synced_are_refused(door: Door) -> None:
    with pytest.raises(Exception, match=r"--datasets dividends --symbols 000043\.SZ --start 2026-09-01 --end 2026-09-"):
        door.pro().dividend(ts_code=STEPPED)
