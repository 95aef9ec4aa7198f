"""Multi-factor: the weighted sum of what a share is worth among all others in several respects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field, model_validator

from quant_pipeline.language import say
from quant_pipeline.strategies.indicators import ma, ref, std
from quant_pipeline.strategies.panel import IN_UNIVERSE, Needs
from quant_pipeline.strategies.rotation import Every, Rotation, RotationParameters, changed

_WEIGHT = {"ge": -10, "le": 10}
_FARTHEST = 3.0
"""Standard deviations beyond which a factor counts no more: one absurd ratio is no hundred good shares."""
_TURNOVER = 20
"""Bars of the mean turnover rate: nothing else of daily_basic is looked back at."""
FACTORS: Mapping[str, str] = {
    "earnings": "盈利收益率",
    "book": "账面市值比",
    "dividend": "股息率",
    "size": "小市值",
    "momentum": "动量",
    "reversal": "反转",
    "volatility": "低波动",
    "turnover": "低换手",
}
"""What is weighted: higher is better under a weight above zero."""


def _weight(default: float, english: str, chinese: str) -> float:
    return Field(default, description=f"Weight of {english}. {chinese}权重", **_WEIGHT)  # type: ignore[no-any-return, call-overload]


class MultiFactorParameters(RotationParameters):
    """The weights; 0 leaves a factor out."""

    every: Every = changed("month")
    earnings: float = _weight(1.0, "earnings per price (1 / pe_ttm; a loss counts as none)", "盈利收益率")
    book: float = _weight(1.0, "book value per price (1 / pb)", "账面市值比")
    dividend: float = _weight(0.5, "the dividend yield (dv_ttm)", "股息率")
    size: float = _weight(0.5, "a small market value (log total_mv, turned)", "小市值")
    momentum: float = _weight(0.5, "the rise between 252 and 21 bars ago", "动量")
    reversal: float = _weight(0.5, "the fall over 20 bars", "反转")
    volatility: float = _weight(1.0, "quiet daily returns over 60 bars", "低波动")
    turnover: float = _weight(0.5, "a low mean turnover rate over 20 bars", "低换手")
    neutral: bool = Field(True, description="Compare within each industry alone (today's industries). 行业中性")

    @model_validator(mode="after")
    def _some_weight(self) -> MultiFactorParameters:
        if not any(getattr(self, name) for name in FACTORS):
            raise ValueError(say("at least one weight must not be 0"))
        return self


class MultiFactor(Rotation):
    """Those of the greatest weighted sum of z-scores. Score: that sum, per the sum of the weights.

    Each factor is measured against the mean of the session (of the industry in it, if so wanted) in standard deviations, at
    most three; what is not known of a share counts as the mean. A share of which fewer than half of the weights are known has
    no score.
    """

    name = "multi_factor"
    zh = "多因子轮动"
    en = "Multi-factor"
    doc = "The best weighted sum of z-scored factors (value, dividend, size, momentum, volatility), changed every month."
    Parameters: ClassVar[type[MultiFactorParameters]] = MultiFactorParameters
    needs: ClassVar[Needs] = {
        "daily_kline": ("close",),
        "daily_basic": ("pe_ttm", "pb", "dv_ttm", "total_mv", "turnover_rate"),
        "stock_list": ("industry",),
    }

    @property
    def span(self) -> int:
        return 252

    @property
    def shallower(self) -> Mapping[str, int]:
        return dict.fromkeys(self.needs["daily_basic"], _TURNOVER + self.lookback - self.span)

    @property
    def figures(self) -> Sequence[str]:
        return ("rank", *(name for name in FACTORS if getattr(self.parameters, name)))

    @property
    def headings(self) -> Mapping[str, str]:
        return {"rank": "排名", **FACTORS}

    def measured(self, bars: pl.DataFrame) -> pl.DataFrame:
        return bars.with_columns(**{name: value for name, value in _along_the_bars().items() if name in self._weights})

    @property
    def _weights(self) -> Mapping[str, float]:
        return {name: getattr(self.parameters, name) for name in FACTORS if getattr(self.parameters, name)}

    def compared(self, measured: pl.DataFrame) -> pl.DataFrame:
        weights = self._weights
        found = measured.with_columns(**{name: value for name, value in _of_the_day().items() if name in weights})
        if IN_UNIVERSE in found.columns:
            found = found.with_columns(pl.when(IN_UNIVERSE).then(name).alias(name) for name in weights)
        # A session's figures are of that session alone: nothing here looks along a code's bars.
        found = found.with_columns(pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in weights)
        if self.parameters.neutral:
            among = ["trade_date", pl.col("industry").fill_null("")]
            found = found.with_columns(pl.col(name) - pl.col(name).mean().over(among) for name in weights)
        day = "trade_date"
        found = found.with_columns(
            pl.when(pl.col(name).std().over(day) > 0)
            .then((pl.col(name) - pl.col(name).mean().over(day)) / pl.col(name).std().over(day))
            .otherwise(pl.when(pl.col(name).is_not_null()).then(0.0))
            .clip(-_FARTHEST, _FARTHEST)
            .alias(name)
            for name in weights
        )
        whole = sum(map(abs, weights.values()))
        known = pl.sum_horizontal(pl.when(pl.col(name).is_not_null()).then(abs(weight)) for name, weight in weights.items())
        total = pl.sum_horizontal(pl.col(name).fill_null(0.0) * weight for name, weight in weights.items())
        return found.with_columns(score=pl.when(known >= whole / 2).then(total / whole))


def _along_the_bars() -> dict[str, pl.Expr]:
    """Of each bar, by its code's bars before; higher is better, null where it is not known."""
    close = pl.col("close")
    daily = (close / ref(1, "close") - 1) * 100
    return {
        "momentum": ref(21, "close") / ref(252, "close") - 1,
        "reversal": 1 - close / ref(20, "close"),
        "volatility": -std(60, daily),
        "turnover": -ma(_TURNOVER, "turnover_rate"),
    }


def _of_the_day() -> dict[str, pl.Expr]:
    """Of each bar alone, in the same way."""
    priced = pl.col("total_mv").is_not_null()
    return {
        "earnings": pl.when(pl.col("pe_ttm") > 0).then(1 / pl.col("pe_ttm")).when(priced).then(0.0),
        "book": pl.when(pl.col("pb") > 0).then(1 / pl.col("pb")),
        "dividend": pl.when(priced).then(pl.col("dv_ttm").fill_null(0.0)),
        "size": pl.when(pl.col("total_mv") > 0).then(-pl.col("total_mv").log()),
    }
