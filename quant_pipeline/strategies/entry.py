"""Screens that say when to enter: a pattern to buy at; sold when the price leaves its average."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.indicators import crosses, ma


class EntryParameters(StrategyParameters):
    """Windows in a code's own bars."""

    leave: int = Field(
        20,
        ge=0,
        le=250,
        description="Sell when the close falls below its average of so many bars; 0: never. 跌破均线卖出",
    )


class EntryScreen(Strategy):
    """A strategy of one pattern: what it looks at, when it is there, how good it is.

    The authors of such screens say when to buy alone: the way out, for a backtest, is the parameter `leave`.
    """

    Parameters: ClassVar[type[EntryParameters]] = EntryParameters
    span: ClassVar[int]
    """How many of a code's bars before the last one its pattern takes."""
    shown: ClassVar[Mapping[str, str]] = {}
    """Its figures, and what they are called."""

    @property
    def lookback(self) -> int:
        return max(self.span, self.leaving)

    @property
    def leaving(self) -> int:
        """How many bars the way out takes."""
        return int(self.parameters.leave) + 1

    @property
    def figures(self) -> Sequence[str]:
        return tuple(self.shown)

    @property
    def headings(self) -> Mapping[str, str]:
        return self.shown

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        leave = self.parameters.leave
        gone = crosses(ma(leave, "close"), pl.col("close")) if leave else pl.lit(False)
        return self.looked_at(bars).select(*self._entered, sell=gone)

    def picks(self, bars: pl.DataFrame, sessions: Sequence[dt.date]) -> pl.DataFrame:
        """No screen shows the way out."""
        del sessions
        return self.looked_at(bars).select(*self._entered)

    @property
    def _entered(self) -> Sequence[str | pl.Expr]:
        buy, score = self.picked().fill_null(False), self.scored()
        return ("ts_code", "trade_date", *self.figures, buy.alias("buy"), score.alias("score"))

    @abstractmethod
    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        """The bars with the columns beside them that `picked`, `scored` and the figures take."""

    @abstractmethod
    def picked(self) -> pl.Expr:
        """Whether the pattern is there, over the columns of `looked_at`."""

    @abstractmethod
    def scored(self) -> pl.Expr:
        """Higher is better, over the columns of `looked_at`."""


def at_upper_limit() -> pl.Expr:
    """Whether the bar closed at its upper limit, as the exchange had it for the board, the day and the name; false without
    a limit."""
    return (pl.col("close") >= pl.col("up_limit")).fill_null(False)


def at_lower_limit() -> pl.Expr:
    """Whether the bar closed at its lower limit."""
    return (pl.col("close") <= pl.col("down_limit")).fill_null(False)


YI = 1e5
"""千元 in one 亿元: amounts are stored in 千元, and asked for in 亿元."""
