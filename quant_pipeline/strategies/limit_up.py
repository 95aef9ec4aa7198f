"""Following a limit-up day: the first one, or the n-th in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field, model_validator

from quant_pipeline.language import say
from quant_pipeline.strategies.base import Strategy, StrategyParameters
from quant_pipeline.strategies.entry import YI, at_upper_limit
from quant_pipeline.strategies.indicators import ma, ref, streak
from quant_pipeline.strategies.panel import Needs


class LimitUpParameters(StrategyParameters):
    """Which limit-up day is followed."""

    least: int = Field(1, ge=1, le=20, description="Limit-up days in a row, at least. 连板数不少于")
    most: int = Field(1, ge=1, le=20, description="Limit-up days in a row, at most. 连板数不多于")
    amount: float = Field(1.0, ge=0, le=1000, description="Turnover of at least so many 亿元. 成交额不低于，亿元")
    one_price: bool = Field(False, description="Also days that opened at the limit and never left it. 是否包含一字板")

    @model_validator(mode="after")
    def _in_order(self) -> LimitUpParameters:
        if self.least > self.most:
            raise ValueError(say("least ({least}) must not be above most ({most})", least=self.least, most=self.most))
        return self


class LimitUpFollow(Strategy):
    """Buy after a first limit-up close (首板), sell after the first bar that does not close at the limit again.

    The limit is the exchange's own, of the board, the day and the name. Score: the volume per the mean of five bars before.
    """

    name = "limit_up_follow"
    zh = "首板跟进"
    en = "Limit-up follow"
    doc = "The first close at the upper limit, with turnover and not at one price; sold once a bar does not close there again."
    Parameters = LimitUpParameters
    needs: ClassVar[Needs] = {
        "daily_kline": ("open", "high", "low", "close", "vol", "amount"),
        "price_limits": ("up_limit",),
    }

    @property
    def lookback(self) -> int:
        return max(6, int(self.parameters.most) + 1)

    @property
    def figures(self) -> Sequence[str]:
        return ("boards", "heavier")

    @property
    def headings(self) -> Mapping[str, str]:
        return {"boards": "连板数", "heavier": "量比"}

    def signals(self, bars: pl.DataFrame) -> pl.DataFrame:
        given, usual = self.parameters, ref(1, ma(5, "vol"))
        shown = bars.with_columns(limit=at_upper_limit()).with_columns(
            boards=streak("limit"), heavier=pl.when(usual > 0).then(pl.col("vol") / usual)
        )
        traded = (pl.col("low") < pl.col("up_limit")) | pl.lit(given.one_price)
        wanted = pl.col("boards").is_between(given.least, given.most) & (pl.col("amount") >= given.amount * YI)
        return shown.select(
            "ts_code",
            "trade_date",
            # A row of boards longer than the bars that are there is no count.
            pl.min_horizontal("boards", pl.lit(given.most + 1.0)).alias("boards"),
            "heavier",
            buy=pl.col("limit") & wanted & traded,
            sell=~pl.col("limit") & (ref(1, "limit") > 0),
            score=pl.col("heavier").fill_null(0.0),
        )
