"""The six screens of Sequoia-X (sngyai/Sequoia-X): after their definitions; limit days are those of the exchange's own limit
of the board and the day, amounts are in 亿元."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.entry import YI, EntryParameters, EntryScreen, at_lower_limit, at_upper_limit
from quant_pipeline.strategies.indicators import highest, lowest, ma, ranked, ref
from quant_pipeline.strategies.panel import IN_UNIVERSE, Needs


class VolumeCrossParameters(EntryParameters):
    """均线放量金叉."""

    fast: int = Field(5, ge=1, le=120, description="Fast average, in bars. 快线周期")
    slow: int = Field(20, ge=2, le=250, description="Slow average, in bars. 慢线周期")
    volume: float = Field(1.5, ge=1, le=20, description="Volume per its mean of the slow window: above. 量比高于")


class VolumeCross(EntryScreen):
    """A golden cross of the averages on volume. Score: how many times the usual volume."""

    name = "volume_cross"
    zh = "放量金叉"
    en = "Golden cross on volume"
    doc = "The average of 5 bars crosses above that of 20 on more than 1.5 times the mean volume (Sequoia-X's MaVolume)."
    Parameters: ClassVar[type[VolumeCrossParameters]] = VolumeCrossParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close", "vol")}
    shown: ClassVar[Mapping[str, str]] = {"fast": "快线", "slow": "慢线", "heavier": "量比"}

    @property
    def lookback(self) -> int:
        return max(int(self.parameters.fast), int(self.parameters.slow), self.leaving)

    @property
    def lines(self) -> Sequence[str]:
        return ("fast", "slow")

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        given, usual = self.parameters, ma(self.parameters.slow, "vol")
        return bars.with_columns(
            fast=ma(given.fast), slow=ma(given.slow), heavier=pl.when(usual > 0).then(pl.col("vol") / usual)
        ).with_columns(gap=(pl.col("fast") / pl.col("slow") - 1).round(9))

    def picked(self) -> pl.Expr:
        return (pl.col("gap") > 0) & (ref(1, "gap") < 0) & (pl.col("heavier") > float(self.parameters.volume))

    def scored(self) -> pl.Expr:
        return pl.col("heavier")


class BreakoutParameters(EntryParameters):
    """放量突破."""

    window: int = Field(20, ge=2, le=250, description="Above the highest of so many bars before. 通道周期")
    amount: float = Field(1.0, ge=0, le=1000, description="Turnover of more than so many 亿元. 成交额高于，亿元")


class Breakout(EntryScreen):
    """A rising day above the highest of 20 bars. Score: its rise in per cent."""

    name = "breakout"
    zh = "阳线突破"
    en = "Break-out"
    doc = "A rising bar closes above the highest of the 20 before, with more than 100 million yuan (Sequoia-X's TurtleTrade)."
    Parameters: ClassVar[type[BreakoutParameters]] = BreakoutParameters
    needs: ClassVar[Needs] = {"daily_kline": ("open", "high", "close", "pct_chg", "amount")}
    shown: ClassVar[Mapping[str, str]] = {"channel": "此前最高", "pct_chg": "涨跌幅"}

    @property
    def lookback(self) -> int:
        return max(int(self.parameters.window), self.leaving)

    @property
    def lines(self) -> Sequence[str]:
        return ("channel",)

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        return bars.with_columns(channel=ref(1, highest(self.parameters.window)))

    def picked(self) -> pl.Expr:
        close = pl.col("close")
        rising = (close > pl.col("open")) & (close > ref(1, "close"))
        return rising & (close > pl.col("channel")) & (pl.col("amount") > float(self.parameters.amount) * YI)

    def scored(self) -> pl.Expr:
        return pl.col("pct_chg")


class HighTightFlag(EntryScreen):
    """Ten narrow bars near the top of a steep rise, on thin volume. Score: the rise."""

    name = "high_tight_flag"
    zh = "高位窄幅整理"
    en = "High and tight flag"
    doc = "Risen by 60 % within 40 bars, the last ten within 15 % near the top on thin volume (Sequoia-X's HighTightFlag)."
    needs: ClassVar[Needs] = {"daily_kline": ("high", "low", "close", "vol")}
    span = 40
    shown: ClassVar[Mapping[str, str]] = {"grown": "40日高低比", "narrow": "10日高低比", "thin": "量比"}

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        usual = ref(1, ma(20, "vol"))
        return bars.with_columns(
            grown=highest(40) / lowest(40),
            narrow=highest(10) / lowest(10),
            near=lowest(10) / highest(40),
            thin=pl.when(usual > 0).then(pl.col("vol") / usual),
        )

    def picked(self) -> pl.Expr:
        tight = (pl.col("narrow") < 1.15) & (pl.col("near") >= 0.8)
        return (pl.col("grown") > 1.6) & tight & (pl.col("thin") < 0.6)

    def scored(self) -> pl.Expr:
        return pl.col("grown")


class LimitUpShakeout(EntryScreen):
    """After a limit-up day a falling day on twice the volume that holds its close. Score: how many times the volume."""

    name = "limit_up_shakeout"
    zh = "涨停洗盘"
    en = "Shake-out after limit-up"
    doc = "The day after a limit-up close: falls from its open on twice the volume, never below that close (Sequoia-X)."
    needs: ClassVar[Needs] = {"daily_kline": ("open", "low", "close", "vol"), "price_limits": ("up_limit",)}
    span = 2
    shown: ClassVar[Mapping[str, str]] = {"heavier": "与前日量比"}

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        before = ref(1, "vol")
        return bars.with_columns(limit=at_upper_limit(), heavier=pl.when(before > 0).then(pl.col("vol") / before))

    def picked(self) -> pl.Expr:
        held = (pl.col("close") < pl.col("open")) & (pl.col("low") >= ref(1, "close"))
        return (ref(1, "limit") > 0) & held & (pl.col("heavier") > 2)

    def scored(self) -> pl.Expr:
        return pl.col("heavier")


class UptrendLimitDown(EntryScreen):
    """A limit-down day on volume within an uptrend. Score: how many times the usual volume."""

    name = "uptrend_limit_down"
    zh = "上升趋势跌停"
    en = "Limit-down in an uptrend"
    doc = "Closed at the lower limit on twice the mean volume while the average of 20 bars lay above that of 60 (Sequoia-X)."
    needs: ClassVar[Needs] = {"daily_kline": ("close", "vol"), "price_limits": ("down_limit",)}
    span = 60
    shown: ClassVar[Mapping[str, str]] = {"ma20": "20日均线", "ma60": "60日均线", "heavier": "量比"}

    @property
    def lines(self) -> Sequence[str]:
        return ("ma20", "ma60")

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        usual = ma(20, "vol")
        return bars.with_columns(ma20=ma(20), ma60=ma(60), heavier=pl.when(usual > 0).then(pl.col("vol") / usual))

    def picked(self) -> pl.Expr:
        return (ref(1, "ma20") > ref(1, "ma60")) & at_lower_limit() & (pl.col("heavier") > 2)

    def scored(self) -> pl.Expr:
        return pl.col("heavier")


class RpsBreakoutParameters(EntryParameters):
    """RPS 突破."""

    window: int = Field(120, ge=5, le=250, description="Bars over which the rise is ranked. 周期")
    rank: float = Field(90.0, ge=50, le=99.9, description="Among the best of the market: rank of at least %. RPS不低于")
    near: float = Field(
        0.9, ge=0.5, le=1, description="The close per the highest of the window: at least. 收盘价与最高价之比不低于"
    )


class RpsBreakout(EntryScreen):
    """Among the strongest tenth of the market and near the top. Score: RPS."""

    name = "rps_breakout"
    zh = "RPS 强势突破"
    en = "RPS break-out"
    doc = "The rise of 120 bars ranks in the strongest tenth of the market, the close within 10 % of their high (Sequoia-X)."
    Parameters: ClassVar[type[RpsBreakoutParameters]] = RpsBreakoutParameters
    needs: ClassVar[Needs] = {"daily_kline": ("high", "close")}
    compares = True
    shown: ClassVar[Mapping[str, str]] = {"rps": "RPS", "near": "距最高"}

    @property
    def lookback(self) -> int:
        return max(int(self.parameters.window), self.leaving)

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        window = self.parameters.window
        change = pl.col("close") / ref(window, "close")
        within = pl.when(IN_UNIVERSE).then(change) if IN_UNIVERSE in bars.columns else change
        return bars.with_columns(rps=ranked(within), near=pl.col("close") / highest(window))

    def picked(self) -> pl.Expr:
        return (pl.col("rps") >= float(self.parameters.rank)) & (pl.col("near") >= float(self.parameters.near))

    def scored(self) -> pl.Expr:
        return pl.col("rps")


SCREENS = (VolumeCross, Breakout, HighTightFlag, LimitUpShakeout, UptrendLimitDown, RpsBreakout)
