"""BOLL: break-out of the upper band, and the way back from the lower one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.indicators import boll, crosses
from quant_pipeline.strategies.panel import Needs


class BollParameters(StrategyParameters):
    """The bands of 通达信: population standard deviations."""

    window: int = Field(20, ge=2, le=250, description="Window of the middle band, in bars. 周期")
    width: float = Field(2.0, ge=0.5, le=5, description="Distance of the bands, in standard deviations. 标准差倍数")


class _Bands(Strategy):
    """What both have: the three bands."""

    Parameters = BollParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}

    @property
    def lookback(self) -> int:
        return int(self.parameters.window)

    @property
    def figures(self) -> Sequence[str]:
        return ("middle", "upper", "lower")

    @property
    def lines(self) -> Sequence[str]:
        return self.figures

    @property
    def headings(self) -> Mapping[str, str]:
        return {"middle": "BOLL 中轨", "upper": "上轨", "lower": "下轨"}

    def _bands(self, bars: pl.DataFrame) -> pl.DataFrame:
        middle, upper, lower = boll(self.parameters.window, self.parameters.width)
        return bars.select("ts_code", "trade_date", "close", middle=middle, upper=upper, lower=lower)


class BollBreakout(_Bands):
    """Buy when the close breaks out above the upper band, sell when it falls below the middle one.

    Score: how far above the band, in per cent of the price.
    """

    name = "boll_breakout"
    zh = "布林带上轨突破"
    en = "Bollinger break-out"
    doc = "The close breaks out above the upper Bollinger band; sold below the middle one."

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        close = pl.col("close")
        return (
            self._bands(bars)
            .with_columns(
                buy=crosses(close, pl.col("upper")),
                sell=crosses(pl.col("middle"), close),
                score=(close / pl.col("upper") - 1) * 100,
            )
            .drop("close")
        )


class BollReversion(_Bands):
    """Buy when the close falls to the lower band, sell when it rises to the upper one.

    Score: how far below the band, in per cent of the price.
    """

    name = "boll_reversion"
    zh = "布林带下轨回归"
    en = "Bollinger reversion"
    doc = "The close falls below the lower Bollinger band; sold above the upper one."

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        close = pl.col("close")
        return (
            self._bands(bars)
            .with_columns(
                buy=crosses(pl.col("lower"), close),
                sell=crosses(close, pl.col("upper")),
                score=(pl.col("lower") / close - 1) * 100,
            )
            .drop("close")
        )
