"""The figures of a backtest, counted by hand over six sessions with a benchmark, three sales and a dividend."""

from __future__ import annotations

import datetime as dt
import statistics
from typing import Any

import polars as pl
import pytest

from quant_pipeline.backtest.figures import Figures, figures_of
from quant_pipeline.backtest.result import Frames
from quant_pipeline.backtest.settings import Settings
from quant_pipeline_tests.backtest.world import A, days, replayed, world

EQUITY = [100.0, 110.0, 99.0, 104.5, 121.0, 115.5]
"""Rises to 110 and 121, falls to 99 and 115.5 in between and after."""
RETURNS = [0.0, 0.1, -0.1, 104.5 / 99 - 1, 121 / 104.5 - 1, 115.5 / 121 - 1]
INDEX = [1000.0, 1010.0, 1000.0, 1020.0, 1050.0, 1040.0]
OF_INDEX = [0.01, 1000 / 1010 - 1, 0.02, 1050 / 1020 - 1, 1040 / 1050 - 1]
HOLDINGS = [0.0, 55.0, 99.0, 52.25, 121.0, 0.0]
YEAR = 244


def counted(equity: list[float] = EQUITY, index: list[float | None] = INDEX, **settings: Any) -> Figures:  # type: ignore[assignment]
    sessions = days(len(equity))
    frame = pl.DataFrame(
        {
            "trade_date": sessions,
            "equity": equity,
            "holdings": HOLDINGS[: len(equity)],
            "bought": [0.0, 60.0, 40.0, 0.0, 70.0, 0.0][: len(equity)],
            "sold": [0.0, 0.0, 0.0, 50.0, 0.0, 120.0][: len(equity)],
            "benchmark": index,
        },
        schema_overrides={"benchmark": pl.Float64},
    )
    costs = {"stamp_duty": 0.0, "handling_fee": 0.0, "regulatory_fee": 0.0, "dividend_tax": 0.0}
    trade = {"commission": 0.5, "transfer_fee": 0.1, "profit": 0.0, "sessions_held": 0, "value": 1.0, **costs}
    trades = [
        *({**trade, "kind": "buy"} for _ in range(3)),
        {**trade, "kind": "sell", "profit": 12.0, "sessions_held": 2, "stamp_duty": 0.3, "dividend_tax": 0.2},
        {**trade, "kind": "sell", "profit": -4.0, "sessions_held": 3, "stamp_duty": 0.2},
        {**trade, "kind": "write_off", "profit": -1.0, "sessions_held": 4, "commission": 0.0, "transfer_fee": 0.0},
        {**trade, "kind": "dividend", "value": 2.5, "commission": 0.0, "transfer_fee": 0.0},
        {**trade, "kind": "step", "value": 1.5, "commission": 0.0, "transfer_fee": 0.0},
    ]
    orders = pl.DataFrame({"status": ["filled", "filled", "filled", "part_filled", "refused", "expired", "withdrawn"]})
    frames = Frames(orders, pl.DataFrame(trades), frame, pl.DataFrame())
    return figures_of(frames, Settings(**{"capital": 100.0, **settings}))


def test_returns_are_in_all_and_of_a_year_of_244_sessions() -> None:
    found = counted()
    assert (found.sessions, found.capital, found.final) == (6, 100.0, 115.5)
    assert found.total_return == pytest.approx(0.155)
    assert found.annual_return == pytest.approx(1.155 ** (244 / 6) - 1)
    assert counted(sessions_a_year=250).annual_return == pytest.approx(1.155 ** (250 / 6) - 1)


def test_volatility_sharpe_and_sortino_are_of_daily_returns() -> None:
    found, deviation = counted(), statistics.stdev(RETURNS)
    assert found.volatility == pytest.approx(deviation * YEAR**0.5)
    assert found.sharpe == pytest.approx(statistics.fmean(RETURNS) / deviation * YEAR**0.5)
    below = (sum(min(each, 0) ** 2 for each in RETURNS) / 6) ** 0.5  # of all sessions, not of the losing ones alone
    assert found.sortino == pytest.approx(statistics.fmean(RETURNS) / below * YEAR**0.5)
    daily = 1.03 ** (1 / YEAR) - 1
    assert counted(risk_free=0.03).sharpe == pytest.approx((statistics.fmean(RETURNS) - daily) / deviation * YEAR**0.5)


def test_the_deepest_drawdown_has_the_days_of_its_peak_bottom_and_recovery() -> None:
    found, sessions = counted(), days(6)
    assert found.max_drawdown == pytest.approx(-0.1)
    assert (found.drawdown_from, found.drawdown_to, found.recovered_on) == (sessions[1], sessions[2], sessions[4])
    assert found.calmar == pytest.approx(found.annual_return / 0.1)
    open_end = counted(EQUITY[:4], INDEX[:4])  # type: ignore[arg-type]
    assert open_end.recovered_on is None
    rising = counted([100.0, 101.0, 102.0], [None] * 3)
    assert (rising.max_drawdown, rising.drawdown_from, rising.calmar) == (0.0, None, None)


def test_sales_and_write_offs_make_the_win_rate_and_the_profit_factor() -> None:
    found = counted()
    assert (found.trades, found.sales) == (5, 3)
    assert found.win_rate == pytest.approx(1 / 3)
    assert found.profit_factor == pytest.approx(12 / 5)
    assert found.mean_sessions_held == 3.0
    assert (found.orders, found.orders_filled, found.orders_refused) == (7, 3, 2)


def test_turnover_exposure_and_costs_by_kind() -> None:
    found = counted()
    assert found.turnover == pytest.approx((170 + 170) / 2 / statistics.fmean(EQUITY) * YEAR / 6)
    assert found.exposure == pytest.approx((0 + 0.5 + 1 + 0.5 + 1 + 0) / 6)
    assert found.costs == {
        "commission": 2.5, "stamp_duty": 0.5, "transfer_fee": 0.5, "handling_fee": 0.0, "regulatory_fee": 0.0,
        "dividend_tax": 0.2,
    }  # fmt: skip
    assert (found.dividends, found.booked_steps) == (2.5, 1.5)


def test_alpha_beta_and_excess_are_against_the_index() -> None:
    found, mine = counted(), RETURNS[1:]
    assert found.benchmark_return == pytest.approx(0.04)
    assert found.excess == pytest.approx(0.155 - 0.04)
    slope, intercept = statistics.linear_regression(OF_INDEX, mine)
    assert found.beta == pytest.approx(slope)
    assert found.alpha == pytest.approx(intercept * YEAR)
    active = [one - other for one, other in zip(mine, OF_INDEX, strict=True)]
    assert found.information_ratio == pytest.approx(statistics.fmean(active) / statistics.stdev(active) * YEAR**0.5)
    daily = 1.03 ** (1 / YEAR) - 1
    assert counted(risk_free=0.03).alpha == pytest.approx((intercept - daily * (1 - slope)) * YEAR)


def test_what_is_not_defined_is_none() -> None:
    still = counted([100.0, 100.0, 100.0], [None] * 3)
    assert (still.volatility, still.sharpe, still.sortino) == (None, None, None)
    assert (still.benchmark_return, still.excess, still.alpha, still.beta) == (None, None, None, None)


def test_a_fall_below_the_capital_is_a_drawdown_from_the_first_session_on() -> None:
    """Bought at the first open, 20 % lower at its close: the curve's depth is the figure's."""
    frames = replayed(world({A: [(10.0, 10.0, 8.0, 8.0), 8.0, 9.0]}), [(0, A, "buy", 50_000)])
    assert frames.equity["drawdown"].to_list() == pytest.approx([-0.1, -0.1, -0.05])
    found = figures_of(frames, Settings(capital=1_000_000, benchmark=""))
    assert found.max_drawdown == pytest.approx(-0.1)
    assert (found.drawdown_from, found.drawdown_to) == (dt.date(2024, 3, 1), dt.date(2024, 3, 1))
