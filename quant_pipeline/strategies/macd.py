"""MACD: the golden cross of DIF over DEA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field, model_validator

from quant_pipeline.language import say
from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.indicators import add, crosses
from quant_pipeline.strategies.panel import Needs
from quant_pipeline.strategies.warm_up import ema_settles, tens


class MacdParameters(StrategyParameters):
    """Windows in a code's own bars."""

    fast: int = Field(12, ge=2, le=100, description="Fast average of DIF, in bars. 快线周期")
    slow: int = Field(26, ge=3, le=200, description="Slow average of DIF, in bars; above the fast one. 慢线周期")
    signal: int = Field(9, ge=2, le=100, description="Average of DIF that DEA is, in bars. DEA周期")
    zero: Literal["any", "above", "below"] = Field(
        "any",
        description="Where DIF must stand at a golden cross, against zero. 金叉时DIF须在零轴：不限/之上/之下",
    )

    @model_validator(mode="after")
    def _fast_below_slow(self) -> MacdParameters:
        if self.fast >= self.slow:
            raise ValueError(say("fast ({fast}) must be below slow ({slow})", fast=self.fast, slow=self.slow))
        return self


class MacdCross(Strategy):
    """Buy when DIF crosses above DEA (金叉), sell when it crosses below (死叉).

    Score: the histogram, in thousandths of the price.
    """

    name = "macd"
    zh = "MACD 金叉"
    en = "MACD cross"
    doc = "DIF crosses above DEA (MACD 12, 26, 9 by default), above or below zero if so wanted."
    Parameters = MacdParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}

    @property
    def lookback(self) -> int:
        slowest = ema_settles(max(self.parameters.slow, self.parameters.signal))
        return tens(slowest + min(self.parameters.slow, self.parameters.signal))

    @property
    def figures(self) -> Sequence[str]:
        return ("dif", "dea", "macd")

    @property
    def headings(self) -> Mapping[str, str]:
        return {"dif": "DIF", "dea": "DEA", "macd": "MACD 柱"}

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        given = self.parameters
        windows = f"{given.fast},{given.slow},{given.signal}"
        shown = add(bars.select("ts_code", "trade_date", "close"), f"MACD({windows})")
        shown.columns = ["ts_code", "trade_date", "close", *self.figures]
        dif, dea = pl.col("dif"), pl.col("dea")
        where = {"any": pl.lit(True), "above": dif > 0, "below": dif < 0}[given.zero]
        return shown.with_columns(
            buy=crosses(dif, dea) & where,
            sell=crosses(dea, dif),
            score=pl.col("macd") / pl.col("close") * 1000,
        ).drop("close")
