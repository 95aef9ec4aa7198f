"""Adjusted prices: returns are those of a holder, whatever the window that is read."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.adjustment import Adjustment, adjust

FIRST = dt.date(2026, 1, 1)
history = st.lists(st.tuples(st.floats(1, 500), st.sampled_from([1.0, 1.0, 1.0, 1.25, 2.0])), min_size=2, max_size=40)


def _frames(history: list[tuple[float, float]], code: str = "600000.SH") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars and factors: on each day the raw price is the holder's price over the factor reached so far."""
    days = [FIRST + dt.timedelta(days=n) for n in range(len(history))]
    factors, reached = [], 1.0
    for _, step in history:
        reached *= step
        factors.append(reached)
    close = [price / factor for (price, _), factor in zip(history, factors, strict=True)]
    bars = pl.DataFrame({"ts_code": code, "trade_date": days, "close": close, "vol": 100.0}).with_columns(
        open=pl.col("close"), high=pl.col("close"), low=pl.col("close"), pre_close=pl.col("close")
    )
    return bars, pl.DataFrame({"ts_code": code, "trade_date": days, "adj_factor": factors})


@given(history)
def test_hfq_is_what_a_holder_of_the_first_day_has(history: list[tuple[float, float]]) -> None:
    bars, factors = _frames(history)
    assert adjust(bars, factors, "hfq")["close"].to_list() == pytest.approx([price for price, _ in history])


@given(history)
def test_qfq_ends_at_the_traded_price_and_has_the_same_returns(history: list[tuple[float, float]]) -> None:
    bars, factors = _frames(history)
    qfq, hfq = adjust(bars, factors, "qfq")["close"], adjust(bars, factors, "hfq")["close"]
    assert qfq[-1] == pytest.approx(bars["close"][-1])
    assert (qfq / hfq).to_list() == pytest.approx([qfq[0] / hfq[0]] * len(history))


@given(history, st.integers(1, 39))
def test_a_part_read_alone_equals_the_same_part_of_the_whole(history: list[tuple[float, float]], cut: int) -> None:
    bars, factors = _frames(history)
    part = bars.tail(min(cut, bars.height))
    assert adjust(part, factors, "qfq").equals(adjust(bars, factors, "qfq").tail(part.height)), "no splice"


@given(history, st.sampled_from(["qfq", "hfq"]))
def test_returns_stay_and_ex_dates_leave_no_gap(history: list[tuple[float, float]], how: Adjustment) -> None:
    bars, factors = _frames(history)
    factor = factors["adj_factor"]
    bars = bars.with_columns(pre_close=(bars["close"] * factor).shift(1) / factor)
    adjusted = adjust(bars, factors, how)
    raw_returns = (bars["close"] / bars["pre_close"])[1:].to_list()
    assert (adjusted["close"] / adjusted["pre_close"])[1:].to_list() == pytest.approx(raw_returns)
    assert adjusted["pre_close"][1:].to_list() == pytest.approx(adjusted["close"][:-1].to_list())


def test_volume_is_as_traded_and_codes_do_not_mix() -> None:
    one, one_factors = _frames([(10, 1), (10, 2)], "600000.SH")
    other, other_factors = _frames([(50, 1), (60, 1)], "000001.SZ")
    both = adjust(pl.concat([one, other]), pl.concat([one_factors, other_factors]), "qfq")
    assert both["vol"].to_list() == [100.0] * 4
    assert both.filter(pl.col("ts_code") == "000001.SZ")["close"].to_list() == [50.0, 60.0]
    assert both.filter(pl.col("ts_code") == "600000.SH")["close"].to_list() == [5.0, 5.0]


def test_a_session_without_a_factor_takes_the_last_one_and_a_code_without_any_gets_none() -> None:
    bars, factors = _frames([(10, 1), (10, 2), (10, 1)])
    assert adjust(bars, factors.head(2), "hfq")["close"].to_list() == [10.0, 10.0, 10.0]
    assert adjust(bars, factors.with_columns(ts_code=pl.lit("000001.SZ")), "qfq")["close"].to_list() == [None] * 3
    assert adjust(bars, factors.tail(1), "hfq")["close"].to_list()[:2] == [None, None], "never a factor of later"


@given(history, st.sampled_from(["qfq", "hfq"]))
def test_the_changes_follow_from_the_adjusted_prices(history: list[tuple[float, float]], how: Adjustment) -> None:
    bars, factors = _frames(history)
    bars = bars.with_columns(pre_close=pl.col("close") / 1.1, change=pl.lit(None, pl.Float64), pct_chg=pl.lit(7.0))
    adjusted = adjust(bars, factors, how)
    assert adjusted["change"].to_list() == pytest.approx((adjusted["close"] - adjusted["pre_close"]).to_list())
    assert adjusted["pct_chg"].to_list() == pytest.approx([10.0] * len(history))
    alone = adjust(bars.drop("close").with_columns(change=pl.lit(1.0)), factors, "hfq")
    assert alone["change"].to_list() == pytest.approx(factors["adj_factor"].to_list()), "scaled, where it cannot be counted"
