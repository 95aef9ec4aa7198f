"""`qp.indicators` beside a notebook's frames: the same figures, whatever the frame is and however it is sorted."""

from __future__ import annotations

import polars as pl
import pytest

import quant_pipeline as qp
from quant_pipeline.strategies import indicators


@pytest.mark.usefixtures("stored")
def test_columns_are_put_beside_the_bars_of_a_code_and_of_several() -> None:
    one = qp.bars("600000.SH")
    found = qp.indicators.add(one, "MA5 MACD")
    assert found.index.equals(one.index)
    assert list(found.columns)[: len(one.columns)] == list(one.columns)
    assert found["ma5"].tolist()[4:] == pytest.approx(one["close"].rolling(5).mean().tolist()[4:])
    several = qp.indicators.add(qp.bars(["000001", "600000"]), "MA5 MACD")
    assert several.loc["600000.SH"]["ma5"].tolist()[4:] == pytest.approx(found["ma5"].tolist()[4:])
    assert qp.indicators.add(one.drop(columns="ts_code"), "MA5")["ma5"].equals(found["ma5"])


@pytest.mark.usefixtures("stored")
def test_the_order_of_the_frame_stays_and_makes_no_difference() -> None:
    bars = qp.bars(["000001", "600000"], as_="polars")
    upside_down = qp.indicators.add(bars.reverse(), "MA5")
    assert upside_down.drop("ma5").equals(bars.reverse())
    assert upside_down.reverse().equals(qp.indicators.add(bars, "MA5"))


@pytest.mark.usefixtures("stored")
def test_a_slip_is_told() -> None:
    bars = qp.bars("600000.SH")
    with pytest.raises(qp.QueryError, match="MAC"):
        qp.indicators.add(bars, "MAC")
    with pytest.raises(qp.QueryError, match="the frame has no trade_date"):
        qp.indicators.add(bars.reset_index(drop=True), "MA5")


@pytest.mark.usefixtures("stored")
def test_expressions_are_those_of_strategies() -> None:
    bars = qp.bars("600000.SH", as_="polars").with_columns(mine=qp.indicators.ma(5))
    assert isinstance(bars, pl.DataFrame)
    assert bars["mine"].null_count() == 4
    assert {*qp.indicators.__all__} == {*indicators.__all__, "Buffers"}
