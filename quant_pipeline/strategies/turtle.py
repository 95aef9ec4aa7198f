"""The turtles' two systems: Donchian channels of 20/10 and of 55/20 bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.indicators import atr, crosses, highest, lowest, ref
from quant_pipeline.strategies.panel import Needs


class TurtleParameters(StrategyParameters):
    """System 1. Windows in a code's own bars, before the one that breaks out."""

    entry: int = Field(20, ge=2, le=250, description="Buy above the highest of so many bars before. 入场通道周期")
    exit: int = Field(10, ge=2, le=250, description="Sell below the lowest of so many bars before. 离场通道周期")
    atr: int = Field(20, ge=2, le=100, description="Window of N, the average true range, in bars. N（ATR）周期")


class LongTurtleParameters(TurtleParameters):
    """System 2."""

    entry: int = Field(55, ge=2, le=250, description="Buy above the highest of so many bars before. 入场通道周期")
    exit: int = Field(20, ge=2, le=250, description="Sell below the lowest of so many bars before. 离场通道周期")


class Turtle(Strategy):
    """Buy when the close breaks out above the highest price of the bars before, sell when it breaks below their lowest.

    Score: how far above the channel, in N (average true range).
    """

    name = "turtle"
    zh = "海龟系统一"
    en = "Turtle, system 1"
    doc = "The close breaks out above the Donchian channel of 20 bars; sold below that of 10."
    Parameters: ClassVar[type[TurtleParameters]] = TurtleParameters
    needs: ClassVar[Needs] = {"daily_kline": ("high", "low", "close")}

    @property
    def lookback(self) -> int:
        return int(max(self.parameters.entry, self.parameters.exit, self.parameters.atr)) + 1

    @property
    def figures(self) -> Sequence[str]:
        return ("upper", "lower", "n")

    @property
    def lines(self) -> Sequence[str]:
        return ("upper", "lower")

    @property
    def headings(self) -> Mapping[str, str]:
        return {
            "upper": f"{self.parameters.entry}日最高",
            "lower": f"{self.parameters.exit}日最低",
            "n": f"N（ATR{self.parameters.atr}）",
        }

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        given, close = self.parameters, pl.col("close")
        shown = bars.select(
            "ts_code",
            "trade_date",
            "close",
            upper=ref(1, highest(given.entry)),
            lower=ref(1, lowest(given.exit)),
            n=atr(given.atr),
        )
        return shown.with_columns(
            buy=crosses(close, pl.col("upper")),
            sell=crosses(pl.col("lower"), close),
            score=pl.when(pl.col("n") > 0).then((close - pl.col("upper")) / pl.col("n")),
        ).drop("close")


class LongTurtle(Turtle):
    """System 2: 55 bars in, 20 out."""

    name = "turtle_long"
    zh = "海龟系统二"
    en = "Turtle, system 2"
    doc = "The close breaks out above the Donchian channel of 55 bars; sold below that of 20."
    Parameters = LongTurtleParameters
