"""KDJ: the golden cross at the bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.indicators import add, crosses
from quant_pipeline.strategies.panel import Needs
from quant_pipeline.strategies.warm_up import sma_settles, tens


class KdjParameters(StrategyParameters):
    """Windows in a code's own bars, the lines in per cent."""

    window: int = Field(9, ge=2, le=100, description="Window of RSV, in bars. RSV周期")
    k: int = Field(3, ge=2, le=20, description="Smoothing of K. K平滑")
    d: int = Field(3, ge=2, le=20, description="Smoothing of D. D平滑")
    low: float = Field(30.0, ge=1, le=100, description="D must stand below this line at a golden cross. 金叉时D须低于")
    high: float = Field(70.0, ge=0, le=99, description="D must stand above this line at a dead cross. 死叉时D须高于")


class KdjCross(Strategy):
    """Buy when K crosses above D at the bottom, sell when it crosses below D at the top.

    Score: how low D stands.
    """

    name = "kdj"
    zh = "KDJ 低位金叉"
    en = "KDJ cross"
    doc = "K crosses above D while D is low (KDJ 9, 3, 3; below 30 by default)."
    Parameters = KdjParameters
    needs: ClassVar[Needs] = {"daily_kline": ("high", "low", "close")}

    @property
    def lookback(self) -> int:
        k, d = self.parameters.k, self.parameters.d
        return tens(self.parameters.window + sma_settles(max(k, d)) + sma_settles(min(k, d)) // 4)

    @property
    def figures(self) -> Sequence[str]:
        return ("k", "d", "j")

    @property
    def headings(self) -> Mapping[str, str]:
        return {"k": "K", "d": "D", "j": "J"}

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        given = self.parameters
        shown = add(bars.select("ts_code", "trade_date", "high", "low", "close"), f"KDJ({given.window},{given.k},{given.d})")
        shown.columns = ["ts_code", "trade_date", "high", "low", "close", *self.figures]
        k, d = pl.col("k"), pl.col("d")
        return shown.drop("high", "low", "close").with_columns(
            buy=crosses(k, d) & (d < given.low),
            sell=crosses(d, k) & (d > given.high),
            score=100 - d,
        )
