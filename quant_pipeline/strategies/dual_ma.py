"""Dual moving average: the golden cross."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from quant_pipeline.language import say
from quant_pipeline.strategies.base import Strategy
from quant_pipeline.strategies.indicators import add, kernels, of_kernel
from quant_pipeline.strategies.panel import Needs


class DualMovingAverageParameters(BaseModel):
    """Windows in a code's own bars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fast: int = Field(5, ge=1, le=250, description="Fast average, in bars. 快线周期")
    slow: int = Field(20, ge=2, le=500, description="Slow average, in bars; above the fast one. 慢线周期")

    @model_validator(mode="after")
    def _fast_below_slow(self) -> DualMovingAverageParameters:
        if self.fast >= self.slow:
            raise ValueError(say("fast ({fast}) must be below slow ({slow})", fast=self.fast, slow=self.slow))
        return self


class DualMovingAverage(Strategy):
    """Buy when the fast average crosses above the slow one (金叉), sell when it crosses below (死叉).

    Score: how far the fast average has risen above the slow one, in per cent.
    """

    name = "dual_ma"
    zh = "双均线金叉"
    en = "Dual moving average"
    doc = "The fast moving average crosses above the slow one on adjusted closes (golden cross, 5/20 by default)."
    Parameters = DualMovingAverageParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}

    @property
    def lookback(self) -> int:
        return int(self.parameters.slow)

    @property
    def figures(self) -> Sequence[str]:
        return [f"ma{self.parameters.fast}", f"ma{self.parameters.slow}"]

    @property
    def lines(self) -> Sequence[str]:
        return self.figures

    @property
    def headings(self) -> Mapping[str, str]:
        return {f"ma{window}": f"{window}日均线" for window in (self.parameters.fast, self.parameters.slow)}

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        averages = add(bars.select("ts_code", "trade_date", "close"), self.figures).drop("close")
        return averages.hstack(self.marks(bars).select("buy", "sell", "score"))

    def marks(self, bars: pl.DataFrame) -> pl.DataFrame:
        # Crosses are found between marks, a bit each; a code's first bars have no gap, and none is before another code's.
        gap = of_kernel(kernels.ma_gap, ["close"], self.parameters.fast, self.parameters.slow)
        above, below = pl.col("score") > 0, pl.col("score") < 0
        return bars.select("ts_code", "trade_date", score=gap).select(
            "ts_code",
            "trade_date",
            buy=(above & (~above).shift(1)).fill_null(False),
            sell=(below & (~below).shift(1)).fill_null(False),
            score="score",
        )
