"""Dual thrust: out of the range of the last days around today's open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.indicators import highest, lowest, ref
from quant_pipeline.strategies.panel import Needs


class DualThrustParameters(StrategyParameters):
    """The window in a code's own bars, before today's."""

    window: int = Field(4, ge=1, le=60, description="Bars before today whose range counts. 周期")
    up: float = Field(0.5, ge=0.1, le=2, description="Buy above the open by so many ranges. 上轨系数K1")
    down: float = Field(0.5, ge=0.1, le=2, description="Sell below the open by so many ranges. 下轨系数K2")


class DualThrust(Strategy):
    """Buy when the close lies above the open by a part of the range of the bars before, sell when it lies below it.

    The range is the greater of highest high - lowest close and highest close - lowest low. Score: by how much of it the close
    lies above the line.
    """

    name = "dual_thrust"
    zh = "Dual Thrust 区间突破"
    en = "Dual thrust"
    doc = "The close lies above the open by half of the range of the four bars before; sold as far below it."
    Parameters = DualThrustParameters
    needs: ClassVar[Needs] = {"daily_kline": ("open", "high", "low", "close")}

    @property
    def lookback(self) -> int:
        return int(self.parameters.window)

    @property
    def figures(self) -> Sequence[str]:
        return ("upper", "lower", "range")

    @property
    def lines(self) -> Sequence[str]:
        return ("upper", "lower")

    @property
    def headings(self) -> Mapping[str, str]:
        return {"upper": "上轨", "lower": "下轨", "range": "区间"}

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        given, open_, close = self.parameters, pl.col("open"), pl.col("close")
        top, bottom = highest(given.window), lowest(given.window)
        dear, cheap = highest(given.window, "close"), lowest(given.window, "close")
        shown = bars.select(
            "ts_code", "trade_date", "open", "close", range=ref(1, pl.max_horizontal(top - cheap, dear - bottom))
        ).with_columns(upper=open_ + given.up * pl.col("range"), lower=open_ - given.down * pl.col("range"))
        moved = pl.col("range") > 0
        return shown.with_columns(
            buy=moved & (close > pl.col("upper")),
            sell=moved & (close < pl.col("lower")),
            score=pl.when(moved).then((close - pl.col("upper")) / pl.col("range")),
        ).drop("open", "close")
