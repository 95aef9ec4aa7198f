"""RSI: out of an oversold price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.indicators import add, crosses, ref
from quant_pipeline.strategies.panel import Needs
from quant_pipeline.strategies.warm_up import sma_settles, tens


class RsiParameters(StrategyParameters):
    """The window in a code's own bars, the lines in per cent."""

    window: int = Field(6, ge=2, le=100, description="Window, in bars: 6, 12 or 24, say. 周期")
    low: float = Field(20.0, ge=1, le=50, description="Oversold below this line, in per cent. 超卖线")
    high: float = Field(80.0, ge=50, le=99, description="Overbought above this line, in per cent. 超买线")


class RsiReversal(Strategy):
    """Buy when RSI comes back up through the oversold line, sell when it comes back down through the overbought one.

    Score: how deep below the line it had been.
    """

    name = "rsi"
    zh = "RSI 超卖回升"
    en = "RSI out of oversold"
    doc = "RSI rises back above the oversold line (RSI 6 at 20 and 80 by default)."
    Parameters = RsiParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}

    @property
    def lookback(self) -> int:
        return tens(sma_settles(self.parameters.window))

    @property
    def figures(self) -> Sequence[str]:
        return ("rsi",)

    @property
    def headings(self) -> Mapping[str, str]:
        return {"rsi": f"RSI{self.parameters.window}"}

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        given, rsi = self.parameters, pl.col("rsi")
        name = f"rsi{given.window}"
        shown = add(bars.select("ts_code", "trade_date", "close"), name).rename({name: "rsi"}).drop("close")
        return shown.with_columns(
            buy=crosses(rsi, given.low),
            sell=crosses(-rsi, -given.high),
            score=given.low - ref(1, rsi),
        )
