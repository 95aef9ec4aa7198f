"""The golden cross, against the plain loop that everybody would write."""

from __future__ import annotations

import datetime as dt
import json
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from quant_pipeline.strategies.base import StrategyError
from quant_pipeline.strategies.dual_ma import DualMovingAverage

FIRST = dt.date(2026, 1, 1)
prices = st.lists(st.integers(100, 2000).map(lambda cents: cents / 100), min_size=1, max_size=60)


def _bars(**closes: list[float]) -> pl.DataFrame:
    frames = [
        pl.DataFrame({"ts_code": code, "trade_date": [FIRST + dt.timedelta(days=n) for n in range(len(close))], "close": close})
        for code, close in closes.items()
    ]
    return pl.concat(frames)


def _crosses(close: list[float], fast: int, slow: int, *, upwards: bool) -> list[dt.date]:
    found = []
    sign = 1 if upwards else -1
    for at in range(slow, len(close)):
        now = sum(close[at - fast + 1 : at + 1]) / fast - sum(close[at - slow + 1 : at + 1]) / slow
        before = sum(close[at - fast : at]) / fast - sum(close[at - slow : at]) / slow
        if sign * now > 1e-9 and sign * before <= 1e-9:
            found.append(FIRST + dt.timedelta(days=at))
    return found


@given(prices, prices, st.integers(1, 5), st.integers(6, 20))
def test_crosses_are_those_of_the_plain_loop_code_by_code(one: list[float], other: list[float], fast: int, slow: int) -> None:
    strategy = DualMovingAverage.with_parameters({"fast": fast, "slow": slow})
    bars = _bars(a=one, b=other)
    hits, signals = strategy.screen(bars, bars["trade_date"].unique().to_list()), strategy.signals(bars)
    for code, close in (("a", one), ("b", other)):
        found = hits.filter(pl.col("ts_code") == code)["trade_date"].to_list()
        assert found == _crosses(close, fast, slow, upwards=True)
        left = signals.filter((pl.col("ts_code") == code) & pl.col("sell"))["trade_date"].to_list()
        assert left == _crosses(close, fast, slow, upwards=False)


def test_leaving_equality_is_a_cross_too() -> None:
    signals = DualMovingAverage().signals(_bars(up=[10.0] * 25 + [11.0] * 2, down=[10.0] * 25 + [9.0] * 2))
    assert signals.filter("buy").select("ts_code", "trade_date").rows() == [("up", FIRST + dt.timedelta(days=25))]
    assert signals.filter("sell").select("ts_code", "trade_date").rows() == [("down", FIRST + dt.timedelta(days=25))]


@given(prices, st.integers(1, 30))
def test_no_signal_looks_ahead(close: list[float], cut: int) -> None:
    whole = DualMovingAverage().signals(_bars(a=close))
    part = DualMovingAverage().signals(_bars(a=close[:cut]))
    assert part.equals(whole.head(part.height))


def test_a_flat_price_never_crosses_whatever_was_before_it() -> None:
    wild = [3.3 * (1 + n % 7) ** 2 for n in range(50)]
    bars = _bars(a=wild + [10.01] * 300).with_columns(pl.col("close") * 134.5794)
    flat = bars["trade_date"][50 + 20 :].to_list()
    signals = DualMovingAverage().signals(bars).filter(pl.col("trade_date").is_in(flat))
    assert not signals["buy"].any()
    assert not signals["sell"].any()


def test_a_hit_has_its_figures_and_a_score_that_orders() -> None:
    weak = [10.0] * 25 + [9.9] * 5 + [10.9]
    strong = [10.0] * 25 + [9.9] * 5 + [12.0]
    bars = _bars(weak=weak, strong=strong)
    hits = DualMovingAverage().screen(bars, [FIRST + dt.timedelta(days=30)]).sort("score", descending=True)
    assert hits["ts_code"].to_list() == ["strong", "weak"]
    assert json.loads(hits["figures"][0]) == pytest.approx({"ma5": 10.32, "ma20": 10.075}, abs=1e-4)


def test_a_code_without_a_bar_that_day_is_no_hit_and_moves_nobody_else() -> None:
    rising = [10.0] * 25 + [9.0] * 5 + [13.0] * 3
    bars = _bars(halted=rising[:31], traded=rising)
    day = FIRST + dt.timedelta(days=31)
    alone = DualMovingAverage().signals(_bars(traded=rising))
    together = DualMovingAverage().signals(bars).filter(pl.col("ts_code") == "traded")
    assert together.equals(alone)
    assert "halted" not in DualMovingAverage().screen(bars, [day])["ts_code"].to_list()


@pytest.mark.parametrize("values", [{"fast": 20, "slow": 20}, {"fast": 30}, {"fast": 0}, {"quick": 5}])
def test_parameters_that_make_no_sense_are_refused_in_words(values: dict[str, int]) -> None:
    with pytest.raises(StrategyError, match=r"dual_ma.*(fast|quick)"):
        DualMovingAverage.with_parameters(values)


@pytest.mark.parametrize("times", [1, 700], ids=["interpreted", "compiled"])
def test_the_way_of_a_backtest_counts_as_the_averages_do(times: int) -> None:
    """Over more bars than running sums go on for, with windows longer than that, and a price that is lacking."""
    walk = [round(10 + 3 * math.sin(place / 9) + place % 7 / 10, 2) for place in range(400)]
    walk[250] = None  # type: ignore[call-overload]
    bars = pl.concat([_bars(**{f"{600000 + code:06d}.SH": walk}) for code in range(times)])
    for fast, slow in ((1, 2), (5, 20), (20, 140)):
        strategy = DualMovingAverage.with_parameters({"fast": fast, "slow": slow})
        found = strategy.signals(bars)
        assert found.select("buy", "sell").sum().row(0) > (0, 0)
        expected = (found[f"ma{fast}"] / found[f"ma{slow}"] - 1) * 100
        assert_series_equal(found["score"], expected.alias("score"), abs_tol=1e-7, rel_tol=0)
        decided = strategy.decisions(bars)
        assert (decided["signal"] == found["buy"].cast(pl.Int8) - found["sell"].cast(pl.Int8)).all()
