"""`qp.backtest`: strategies, weights and orders, with every order's end; and the room of the same name beside it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pandas as pd
import polars as pl
import pytest

import quant_pipeline as qp
from quant_pipeline.strategies.dual_ma import DualMovingAverage
from quant_pipeline_tests.notebook.conftest import DAYS, EX_DATE


@pytest.mark.usefixtures("stored")
def test_a_strategy_is_traded_and_nothing_is_written() -> None:
    found = qp.backtest("dual_ma", start=DAYS[20], fast=2, slow=4, capital=100_000, benchmark="000300.SH")
    assert list(found.equity.index.date) == list(DAYS[20:])
    assert found.figures["capital"] == 100_000
    assert found.parameters == {"fast": 2, "slow": 4}
    assert {"ts_code", "side", "status", "reason"} <= set(found.orders.columns)
    assert qp.sql("SELECT count(*) AS stored FROM backtests").iloc[0, 0] == 0
    assert "total_return" in repr(found)
    assert "<td>total_return</td>" in found._repr_html_()
    again = qp.backtest(DualMovingAverage, start=DAYS[20], fast=2, slow=4, capital=100_000, as_="polars")
    assert isinstance(again.equity, pl.DataFrame)
    assert again.equity["equity"].to_list() == found.equity["equity"].tolist()


@pytest.mark.usefixtures("stored")
def test_orders_and_weights_of_ones_own_are_replayed() -> None:
    orders = pd.DataFrame({"date": [str(DAYS[30]), str(DAYS[33])], "code": "000001.SZ", "side": ["buy", "sell"], "shares": 100})
    found = qp.backtest(orders, capital=10_000)
    assert found.orders["status"].tolist() == ["filled", "filled"]
    assert found.trades["shares"].tolist() == [100, 100]
    weights = pl.DataFrame({"date": [DAYS[30]], "code": ["000001.SZ"], "weight": [0.5]})
    held = qp.backtest(weights, capital=100_000, as_="polars").positions
    assert held["ts_code"].unique().to_list() == ["000001.SZ"]
    assert held["value"][0] == pytest.approx(50_000, rel=0.05)
    assert EX_DATE in DAYS


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: qp.backtest("dual_mb"), r"no strategy 'dual_mb'\. Did you mean dual_ma"),
        (lambda: qp.backtest("dual_ma", capitol=1), r"no setting 'capitol'\. Did you mean capital"),
        (lambda: qp.backtest("dual_ma", capital=-1), "these settings cannot be used: capital"),
        (lambda: qp.backtest("dual_ma", capital=1), "buys no lot of any code"),
        (lambda: qp.backtest("dual_ma", start="2001-01-01", end="2001-02-01"), "no bars of this range are stored"),
        (lambda: qp.backtest("dual_ma", start="2031-01-02"), "2031-01-02 lies after the latest complete session"),
        (lambda: qp.backtest("dual_ma", universe="moon"), "moon is no universe"),
        (lambda: qp.backtest(pd.DataFrame({"a": [1]})), "the table is neither of weights .* it has a"),
        (lambda: qp.backtest(pd.DataFrame({"date": ["x"], "code": ["y"], "weight": [1]})), "holds something that is no day"),
    ],
)
@pytest.mark.usefixtures("stored")
def test_a_slip_is_told_what_to_write(ask: Any, told: str) -> None:
    with pytest.raises(qp.QueryError, match=told):
        ask()


@pytest.mark.parametrize("before", ["", "import quant_pipeline.backtest.run", "from quant_pipeline.backtest import settings"])
def test_it_can_be_called_whoever_imported_the_room_first(before: str) -> None:
    script = f"{before}\nimport quant_pipeline as qp\nassert callable(qp.backtest)\nimport quant_pipeline.backtest.settings\n"
    script += "assert callable(qp.backtest) and qp.backtest.settings.Settings"
    subprocess.run([sys.executable, "-c", script], check=True)
