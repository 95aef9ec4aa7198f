"""Rotations: of the whole market, those that rank first in something; changed every day, week or month."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.indicators import ref, std, value_when
from quant_pipeline.strategies.panel import IN_UNIVERSE, Needs

Every = Literal["day", "week", "month"]


class _Period(NamedTuple):
    """As polars writes it, and how many bars of a code it has at most."""

    length: str
    bars: int


_PERIODS: Mapping[str, _Period] = {"day": _Period("1d", 1), "week": _Period("1w", 5), "month": _Period("1mo", 23)}


def changed(default: Every) -> Every:
    """The parameter of how often a rotation changes what it holds."""
    english = "When they are changed: every day, or on a week's or month's first session."
    return Field(default, description=f"{english} 调仓频率：日/周/月")


class RotationParameters(StrategyParameters):
    """How many are held, and how often they are changed."""

    hold: int = Field(20, ge=1, le=500, description="How many are held. 持有只数")
    every: Every = changed("week")


class Rotation(Strategy):
    """Those of a session that rank first. On the first session of each period it buys them, and sells those that it held no
    more reason to hold: that ranked first when they were last changed, and do not now.

    A screen shows who ranks first in any session, whether it is changed then or not.
    """

    Parameters: ClassVar[type[RotationParameters]] = RotationParameters
    compares = True

    @property
    @abstractmethod
    def span(self) -> int:
        """How many bars before one its measure takes."""

    @property
    def lookback(self) -> int:
        return self.span + _PERIODS[self.parameters.every].bars

    @property
    def figures(self) -> Sequence[str]:
        return ("rank",)

    @property
    def headings(self) -> Mapping[str, str]:
        return {"rank": "排名"}

    @abstractmethod
    def measured(self, bars: pl.DataFrame) -> pl.DataFrame:
        """The bars with what is known of each by its own code's bars: a column `score`, higher is better (null: cannot be
        held), and the columns of the figures but `rank`; or what `compared` makes these of."""

    def compared(self, measured: pl.DataFrame) -> pl.DataFrame:
        """What was measured, against the other codes of each session."""
        return measured

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        held = (ref(1, value_when("changing", "chosen")) > 0).fill_null(False)
        return self._chosen(self.measured(bars), bars["trade_date"]).select(
            *self._shown, sell=~pl.col("chosen") & pl.col("changing") & held
        )

    def picks(self, bars: pl.DataFrame, sessions: Sequence[dt.date]) -> pl.DataFrame:
        """Sessions that are not asked for are not compared."""
        measured = self.measured(bars).filter(pl.col("trade_date").is_in(list(sessions)))
        return self._chosen(measured, bars["trade_date"]).select(*self._shown)

    @property
    def _shown(self) -> Sequence[str | pl.Expr]:
        buy = (pl.col("chosen") & pl.col("changing")).alias("buy")
        return ("ts_code", "trade_date", *self.figures, "score", "chosen", buy)

    def _chosen(self, measured: pl.DataFrame, days: pl.Series) -> pl.DataFrame:
        """With rank, chosen, and changing. `days`: all that are known."""
        within = pl.when(IN_UNIVERSE).then("score") if IN_UNIVERSE in measured.columns else pl.col("score")
        ranked = self.compared(measured).with_columns(rank=within.rank("ordinal", descending=True).over("trade_date"))
        return ranked.with_columns(
            chosen=(pl.col("rank") <= self.parameters.hold).fill_null(False),
            changing=pl.col("trade_date").is_in(changed_on(days, self.parameters.every)),
        )

    def hits(self, judged: pl.DataFrame) -> pl.DataFrame:
        return judged.filter("chosen")


def changed_on(days: pl.Series, every: Every) -> list[object]:
    """The first sessions of the periods that are in these days; of the first day nobody knows what was before it."""
    sessions = pl.DataFrame({"day": days.unique().sort()})
    begun = pl.col("day").dt.truncate(_PERIODS[every].length)
    return sessions.filter(begun != begun.shift(1))["day"].to_list()


class SmallCap(Rotation):
    """The smallest companies. Score: the market value in 亿元, below zero."""

    name = "small_cap"
    zh = "小市值轮动"
    en = "Small-cap rotation"
    doc = "The companies of the smallest market value, changed every week."
    needs: ClassVar[Needs] = {"daily_kline": ("close",), "daily_basic": ("total_mv",)}

    @property
    def span(self) -> int:
        return 0

    @property
    def figures(self) -> Sequence[str]:
        return ("rank", "value")

    @property
    def headings(self) -> Mapping[str, str]:
        return {"rank": "排名", "value": "总市值 亿元"}

    def measured(self, bars: pl.DataFrame) -> pl.DataFrame:
        value = pl.col("total_mv") / 1e4
        return bars.with_columns(value=value, score=-value)


class LowVolatilityParameters(RotationParameters):
    """低波动."""

    every: Every = changed("month")
    window: int = Field(60, ge=5, le=250, description="Bars over which the volatility is counted. 波动率周期")


class LowVolatility(Rotation):
    """Those whose price moves least. Score: the standard deviation of daily returns in per cent, below zero."""

    name = "low_volatility"
    zh = "低波动轮动"
    en = "Low volatility"
    doc = "The shares whose daily returns varied least over 60 bars, changed every month."
    Parameters: ClassVar[type[LowVolatilityParameters]] = LowVolatilityParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}

    @property
    def span(self) -> int:
        return int(self.parameters.window)

    @property
    def figures(self) -> Sequence[str]:
        return ("rank", "volatility")

    @property
    def headings(self) -> Mapping[str, str]:
        return {"rank": "排名", "volatility": "日波动率%"}

    def measured(self, bars: pl.DataFrame) -> pl.DataFrame:
        moved = (pl.col("close") / ref(1, "close") - 1) * 100
        # A price that never moved is one that does not trade, not a quiet one.
        measured = bars.with_columns(volatility=std(self.parameters.window, moved))
        return measured.with_columns(score=pl.when(pl.col("volatility") > 1e-9).then(-pl.col("volatility")))


class MomentumParameters(RotationParameters):
    """动量."""

    every: Every = changed("month")
    window: int = Field(252, ge=20, le=500, description="The rise begins so many bars ago. 起点，距今交易日")
    skip: int = Field(21, ge=0, le=60, description="And ends so many bars ago: the last month turns back. 跳过最近交易日")


class Momentum(Rotation):
    """Those that rose most over a year, but for its last month. Score: that rise in per cent."""

    name = "momentum"
    zh = "动量轮动"
    en = "Momentum"
    doc = "The shares that rose most between 252 and 21 bars ago (12-1 momentum), changed every month."
    Parameters: ClassVar[type[MomentumParameters]] = MomentumParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}

    @property
    def span(self) -> int:
        return max(int(self.parameters.window), int(self.parameters.skip))

    def measured(self, bars: pl.DataFrame) -> pl.DataFrame:
        given = self.parameters
        return bars.with_columns(score=(ref(given.skip, "close") / ref(given.window, "close") - 1) * 100)


class ReversalParameters(RotationParameters):
    """反转."""

    window: int = Field(20, ge=2, le=250, description="Bars over which they fell. 周期")


class Reversal(Rotation):
    """Those that fell most over 20 bars. Score: that fall in per cent."""

    name = "reversal"
    zh = "反转轮动"
    en = "Reversal"
    doc = "The shares that fell most over 20 bars, changed every week."
    Parameters: ClassVar[type[ReversalParameters]] = ReversalParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}

    @property
    def span(self) -> int:
        return int(self.parameters.window)

    def measured(self, bars: pl.DataFrame) -> pl.DataFrame:
        return bars.with_columns(score=(1 - pl.col("close") / ref(self.parameters.window, "close")) * 100)


ROTATIONS = (SmallCap, LowVolatility, Momentum, Reversal)
