"""The row rules: no true bar breaks one, and each kind of untrue one does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from quant_pipeline.market.datasets import DAILY_KLINE, PRICE_LIMITS, TRADE_CALENDAR

DAY = dt.date(2026, 11, 20)
cents = st.integers(1, 300_000)


@st.composite
def true_bars(draw: st.DrawFn) -> dict[str, Any]:
    """A bar as the exchange makes it: prices in 分, volume in whole 手, turnover between low and high."""
    low, *between, high = sorted(draw(st.lists(cents, min_size=4, max_size=4)))
    opened, close = draw(st.permutations(between))
    pre_close, lots = draw(cents), draw(st.integers(1, 10_000_000))
    mean = low + (high - low) * draw(st.floats(0, 1))
    return {
        "ts_code": "600000.SH",
        "trade_date": DAY,
        "open": opened / 100,
        "high": high / 100,
        "low": low / 100,
        "close": close / 100,
        "pre_close": pre_close / 100,
        "change": round((close - pre_close) / 100, 4),
        "pct_chg": round((close / pre_close - 1) * 100, 4),
        "vol": float(lots),
        "amount": round(mean * lots / 1000, 3),
    }


def _broken(bar: dict[str, Any], **changes: Any) -> set[str]:
    frame = pl.DataFrame([bar | changes])
    return {rule.name for rule in DAILY_KLINE.rules if not frame.select(rule.holds()).item()}


@given(true_bars())
def test_a_true_bar_breaks_no_rule(bar: dict[str, Any]) -> None:
    assert _broken(bar) == set()


@given(true_bars())
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_a_slip_of_unit_is_seen(bar: dict[str, Any]) -> None:
    assume(bar["amount"] >= 20.0 and bar["high"] <= 4 * bar["low"])  # else there is nothing to tell a unit by
    assert "unit_of_volume" in _broken(bar, vol=bar["vol"] * 100), "股 for 手"
    assert "unit_of_volume" in _broken(bar, amount=bar["amount"] * 1000), "元 for 千元"
    assert "unit_of_volume" in _broken(bar, amount=bar["amount"] / 10), "万元 for 千元"


@given(true_bars())
def test_a_fraction_is_no_percentage(bar: dict[str, Any]) -> None:
    assume(abs(bar["pct_chg"]) > 0.05)
    assert "pct_chg_fits" in _broken(bar, pct_chg=bar["pct_chg"] / 100)


@pytest.mark.parametrize(("day", "refused"), [("1993-12-31", False), ("1994-01-03", True)])
def test_before_1994_vol_and_amount_may_not_fit(day: str, refused: bool) -> None:
    found = _broken(BAR, trade_date=dt.date.fromisoformat(day), vol=5 * BAR["vol"])
    assert found == ({"unit_of_volume"} if refused else set())


BAR: dict[str, Any] = {
    "ts_code": "600000.SH",
    "trade_date": DAY,
    "open": 10.0,
    "high": 10.5,
    "low": 9.8,
    "close": 10.2,
    "pre_close": 10.0,
    "change": 0.2,
    "pct_chg": 2.0,
    "vol": 1000.0,
    "amount": 1010.0,
}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"ts_code": "600000"}, "code_is_tushare"),
        ({"ts_code": "sh.600000"}, "code_is_tushare"),
        ({"ts_code": "600000.SH\n"}, "code_is_tushare"),
        ({"ts_code": "６０００００.SH"}, "code_is_tushare"),
        ({"low": 10.1}, "ohlc_in_order"),
        ({"high": 10.1}, "ohlc_in_order"),
        ({"open": 0.0}, "prices_positive"),
        ({"pre_close": -1.0}, "prices_positive"),
        ({"vol": -1.0}, "volume_not_negative"),
        ({"amount": -0.1}, "volume_not_negative"),
        ({"change": 0.21}, "change_fits"),
        ({"pct_chg": 2.1}, "pct_chg_fits"),
    ],
)
def test_what_breaks_which_rule(changes: dict[str, Any], rule: str) -> None:
    assert _broken(BAR) == set()
    assert rule in _broken(BAR, **changes)


def test_limits_may_be_equal_and_not_crossed() -> None:
    (rule,) = (rule for rule in PRICE_LIMITS.rules if rule.name == "limits_in_order")
    frame = pl.DataFrame({"down_limit": [9.0, 10.0, 0.0, 11.0, -1.0], "up_limit": [11.0, 10.0, 0.0, 9.0, 1.0]})
    assert frame.select(rule.holds()).to_series().to_list() == [True, True, True, False, False]


def test_a_day_is_open_or_closed() -> None:
    (rule,) = TRADE_CALENDAR.rules
    assert pl.DataFrame({"is_open": [0, 1, 2, -1]}).select(rule.holds()).to_series().to_list() == [True, True, False, False]
