"""Years and months of a report, windows of a walk-forward: counted by hand."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.backtest.grid import dealt, windows_of
from quant_pipeline.backtest.settings import BacktestError
from quant_pipeline.backtest_report.made import years_of

D = dt.date


def test_years_and_months_are_counted_from_the_close_before_them() -> None:
    equity = pl.DataFrame(
        {
            "trade_date": [D(2024, 11, 29), D(2024, 12, 31), D(2025, 1, 2), D(2025, 1, 31), D(2025, 3, 3)],
            "equity": [110.0, 121.0, 60.5, 121.0, 133.1],
            "benchmark": [1000.0, 1100.0, None, 1100.0, 1210.0],
        }
    )
    trades = pl.DataFrame(
        {
            "trade_date": [D(2024, 12, 31), D(2025, 1, 31), D(2025, 3, 3)],
            "kind": ["sell", "write_off", "buy"],
            "profit": [5.0, -1.0, 0.0],
            "costs": [1.0, 2.0, 4.0],
        }
    )
    later, first = years_of(equity, trades, 100.0)
    assert (first.year, later.year) == (2024, 2025)
    assert [first.months[at] for at in (9, 10, 11)] == [None, pytest.approx(0.1), pytest.approx(0.1)]
    assert (first.total, first.benchmark) == (pytest.approx(0.21), pytest.approx(0.1))
    assert [later.months[at] for at in (0, 1, 2)] == [pytest.approx(0.0), None, pytest.approx(0.1)]
    assert (later.total, later.benchmark, later.excess) == (pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.0))
    assert later.drawdown == pytest.approx(-0.5), "from the last close of the year before"
    assert (first.sales, first.won, first.costs) == (1, 1, 1.0)
    assert (later.sales, later.won, later.costs) == (1, 0, 6.0)


def test_test_windows_follow_their_train_windows_without_a_gap() -> None:
    days = [D(2025, 1, 1) + dt.timedelta(days=n) for n in range(10)]
    found = windows_of(days, 4, 3)
    assert [(window.train, window.test) for window in found] == [
        ((days[0], days[3]), (days[4], days[6])),
        ((days[3], days[6]), (days[7], days[9])),
    ]
    assert windows_of(days, 4, 4)[-1].test == (days[8], days[9]), "the last may be shorter"
    with pytest.raises(BacktestError, match="10 sessions"):
        windows_of(days, 10, 3)


def test_points_are_dealt_to_no_more_steps_than_there_are_points() -> None:
    points = [{"fast": number} for number in range(3)]
    assert dealt(points, 5) == [[each] for each in points]
    assert [len(hand) for hand in dealt(points, 2)] == [2, 1]
