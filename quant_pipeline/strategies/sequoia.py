"""The ten classic screens of InStock (myhhub/stock) and Sequoia (sngyai/Sequoia): after their definitions, with what was
wrong in them mended.

- A limit-up or limit-down day is one that closed at the exchange's limit of that board and day, not one of 9.5 %.
- Turnover is the day's amount in 亿元, not close x volume (in 手 or 股, as the source had it).
- The high and narrow flag's condition on the institutions of the 龙虎榜 is left out: those data are not held.
- A new high within the year-line pattern does not hide a low.
- Low-ATR growth asks for a rise of 10 %, not of 110 % (a slip that hardly any share ever met).
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field

from quant_pipeline.strategies.entry import YI, EntryParameters, EntryScreen, at_lower_limit, at_upper_limit
from quant_pipeline.strategies.indicators import highest, lowest, ma, of_kernel, ref, since, streak, value_when
from quant_pipeline.strategies.panel import Needs

_LIMITS = ("up_limit", "down_limit")
_PRICES = ("open", "high", "low", "close", "pct_chg", "vol", "amount")
_WITH_LIMITS: Needs = {"daily_kline": _PRICES, "price_limits": _LIMITS}
_PLAIN: Needs = {"daily_kline": _PRICES}
_AVERAGE_VOLUME = 5


def _heavier(volume: str = "vol") -> pl.Expr:
    """The volume per the mean of the five bars before."""
    before = ref(1, ma(_AVERAGE_VOLUME, volume))
    return pl.when(before > 0).then(pl.col(volume) / before)


class VolumeUpParameters(EntryParameters):
    """放量上涨."""

    rise: float = Field(2.0, ge=0, le=30, description="Risen by at least so many per cent. 涨幅不低于（%）")
    amount: float = Field(2.0, ge=0, le=1000, description="Turnover of at least so many 亿元. 成交额不低于，亿元")
    volume: float = Field(2.0, ge=1, le=20, description="Volume per the mean of five bars before: at least. 量比不低于")


def _volume_up(given: VolumeUpParameters) -> pl.Expr:
    """Over bars with `heavier`, from the 61st on."""
    return (
        (pl.col("pct_chg") >= given.rise)
        & (pl.col("close") >= pl.col("open"))
        & (pl.col("amount") >= given.amount * YI)
        & (pl.col("heavier") >= given.volume)
        & ref(60, "close").is_not_null()
    )


class VolumeUp(EntryScreen):
    """A rise on twice the usual volume. Score: how many times the usual volume."""

    name = "volume_up"
    zh = "放量上涨"
    en = "Rise on volume"
    doc = "Risen by 2 % on twice the mean volume of five bars and 200 million yuan at least (InStock's enter)."
    Parameters: ClassVar[type[VolumeUpParameters]] = VolumeUpParameters
    needs: ClassVar[Needs] = _PLAIN
    span = 60
    shown: ClassVar[Mapping[str, str]] = {"heavier": "量比", "pct_chg": "涨跌幅"}

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        return bars.with_columns(heavier=_heavier())

    def picked(self) -> pl.Expr:
        return _volume_up(self.parameters)

    def scored(self) -> pl.Expr:
        return pl.col("heavier")


class RisingAverageParameters(EntryParameters):
    """均线多头."""

    window: int = Field(30, ge=5, le=250, description="The average, in bars. 均线周期")
    rise: float = Field(1.2, ge=1, le=3, description="It has risen to so many times its value of 29 bars ago. 均线涨至倍数")


class RisingAverage(EntryScreen):
    """The average of 30 bars rises, from ten bars to ten bars. Score: its rise in per cent."""

    name = "rising_average"
    zh = "均线多头"
    en = "Rising average"
    doc = "The average of 30 bars rose from ten bars to ten bars, by 20 % in all (InStock's keep_increasing)."
    Parameters: ClassVar[type[RisingAverageParameters]] = RisingAverageParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}
    shown: ClassVar[Mapping[str, str]] = {"average": "均线", "rise": "均线涨幅%"}

    @property
    def lookback(self) -> int:
        return max(int(self.parameters.window) + 29, self.leaving)

    @property
    def lines(self) -> Sequence[str]:
        return ("average",)

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        average = bars.with_columns(average=ma(self.parameters.window))
        return average.with_columns(rise=(pl.col("average") / ref(29, "average") - 1) * 100)

    def picked(self) -> pl.Expr:
        first, second, third, last = ref(29, "average"), ref(19, "average"), ref(9, "average"), pl.col("average")
        return (first < second) & (second < third) & (third < last) & (last > float(self.parameters.rise) * first)

    def scored(self) -> pl.Expr:
        return pl.col("rise")


class ParkingApron(EntryScreen):
    """A limit-up day at a high of 15 bars, then three quiet bars above it. Score: how far above it, in per cent."""

    name = "parking_apron"
    zh = "停机坪"
    en = "Parking apron"
    doc = "Within 15 bars a limit-up day at their high, then three bars that open and close above it and hardly move (InStock)."
    needs: ClassVar[Needs] = _WITH_LIMITS
    span = 29
    shown: ClassVar[Mapping[str, str]] = {"limit_close": "涨停价", "since_limit": "涨停后交易日"}
    _WINDOW, _QUIET = 15, 3

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        close, body = pl.col("close"), pl.col("close") / pl.col("open")
        marked = bars.with_columns(
            start=at_upper_limit() & (close >= highest(self._WINDOW, "close")),
            still=body.is_between(0.97, 1.03, "none"),
        ).with_columns(calm=pl.col("still") & pl.col("pct_chg").is_between(-5, 5, "none"))
        floor = ref(self._QUIET, "close")
        above = [
            (ref(back, "close") > floor) & (ref(back, "open") > floor) & (ref(back, quiet) > 0)
            for back, quiet in ((2, "still"), (1, "calm"), (0, "calm"))
        ]
        done = marked.with_columns(done=(ref(self._QUIET, "start") > 0) & pl.all_horizontal(above))
        days = since(pl.col("done").fill_null(False)) + self._QUIET
        recent = done.with_columns(
            since_limit=pl.when(days < self._WINDOW).then(days),
            limit_close=value_when(pl.col("done").fill_null(False), floor),
        )
        return recent.with_columns(limit_close=pl.when(pl.col("since_limit").is_not_null()).then("limit_close"))

    def picked(self) -> pl.Expr:
        return pl.col("since_limit").is_not_null()

    def scored(self) -> pl.Expr:
        return (pl.col("close") / pl.col("limit_close") - 1) * 100


def back_to_the_year_line(
    offsets: Sequence[int],
    close: Sequence[float],
    volume: Sequence[float],
    mean: Sequence[float],
    day: Sequence[float],
    window: int,
    thinner: float,
    deeper: float,
    out: MutableSequence[float],
) -> None:
    """How far the close fell from the window's highest to the lowest after it, as a part of it, where the pattern is there; 0
    where not; none before there are so many bars. `day`: as numbers, so that days between can be counted."""
    for code in range(len(offsets) - 1):
        first, last = offsets[code], offsets[code + 1]
        for i in range(first, last):
            start = i - window + 1
            if start < first or mean[start] != mean[start]:
                out[i] = float("nan")
                continue
            out[i] = 0.0
            top = start
            for at in range(start, i + 1):
                if close[at] > close[top]:
                    top = at
            if top == start or close[start] >= mean[start] or close[top - 1] <= mean[top - 1]:
                continue
            bottom, above = top, True
            for at in range(top, i + 1):
                above = above and close[at] >= mean[at]
                if close[at] < close[bottom]:
                    bottom = at
            far = day[bottom] - day[top]
            if above and far >= 10.0 and far <= 50.0 and volume[top] > thinner * volume[bottom]:
                fallen = close[bottom] / close[top]
                if fallen < deeper:
                    out[i] = 1.0 - fallen


class YearLineParameters(EntryParameters):
    """回踩年线."""

    average: int = Field(250, ge=20, le=500, description="The year's average, in bars. 年线周期")
    volume: float = Field(2.0, ge=1, le=20, description="Volume at the high per volume at the low: at least. 高低点量比")
    fall: float = Field(0.8, ge=0.3, le=0.99, description="The low is below so many times the high. 回踩低点不高于高点的倍数")


class BackToYearLine(EntryScreen):
    """A break above the year's average, and the way back to it on thin volume. Score: the way back in per cent."""

    name = "back_to_year_line"
    zh = "回踩年线"
    en = "Back to the year line"
    doc = "In 60 bars above the average of 250, then back to it, never below, on half the volume (InStock's backtrace_ma250)."
    Parameters: ClassVar[type[YearLineParameters]] = YearLineParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close", "vol")}
    shown: ClassVar[Mapping[str, str]] = {"average": "年线", "fallen": "回踩幅度"}
    _WINDOW = 60

    @property
    def lookback(self) -> int:
        return max(int(self.parameters.average) + self._WINDOW, self.leaving)

    @property
    def shallower(self) -> Mapping[str, int]:
        return {"vol": self._WINDOW}

    @property
    def lines(self) -> Sequence[str]:
        return ("average",)

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        given = self.parameters
        known = bars.with_columns(average=ma(given.average), day=pl.col("trade_date").to_physical().cast(pl.Float64))
        inputs = ["close", "vol", "average", "day"]
        fallen = of_kernel(back_to_the_year_line, inputs, self._WINDOW, float(given.volume), float(given.fall))
        return known.with_columns(fallen=fallen)

    def picked(self) -> pl.Expr:
        return pl.col("fallen") > 0

    def scored(self) -> pl.Expr:
        return pl.col("fallen") * 100


class PlatformParameters(VolumeUpParameters):
    """突破平台."""

    below: float = Field(20.0, ge=1, le=50, description="Before below the average by less than %. 此前低于均线不超过（%）")
    above: float = Field(5.0, ge=0, le=50, description="Before above the average by less than %. 此前高于均线不超过（%）")


class PlatformBreakout(EntryScreen):
    """Through the average of 60 bars on volume, after 60 bars near it. Score: the volume of the break-out's day."""

    name = "platform_breakout"
    zh = "突破平台"
    en = "Platform break-out"
    doc = "Within 60 bars a rise on volume through their average, every bar before near it (InStock's breakthrough_platform)."
    Parameters: ClassVar[type[PlatformParameters]] = PlatformParameters
    needs: ClassVar[Needs] = _PLAIN
    span = 119
    shown: ClassVar[Mapping[str, str]] = {"average": "60日均线", "broke": "突破后交易日"}
    _WINDOW = 60

    @property
    def lines(self) -> Sequence[str]:
        return ("average",)

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        given = self.parameters
        known = bars.with_columns(average=ma(self._WINDOW), heavier=_heavier())
        under = (pl.col("average") - pl.col("close")) / pl.col("average") * 100
        near = under.is_between(-given.above, given.below, "none").fill_null(False)
        through = (pl.col("open") < pl.col("average")) & (pl.col("average") <= pl.col("close"))
        broke = (through & _volume_up(given)).fill_null(False)
        marked = known.with_columns(day=broke, near=streak(near))
        return marked.with_columns(
            broke=pl.when(since("day") < self._WINDOW).then(since("day")),
            quiet=value_when("day", ref(1, "near")),
            pressed=value_when("day", "heavier"),
        )

    def picked(self) -> pl.Expr:
        before = self._WINDOW - 1 - pl.col("broke")
        return (pl.col("quiet") >= before) & ref(self._WINDOW - 1, "close").is_not_null()

    def scored(self) -> pl.Expr:
        return pl.when(pl.col("broke").is_not_null()).then("pressed")


class SteadyRiseParameters(EntryParameters):
    """无大幅回撤."""

    rise: float = Field(0.6, ge=0.1, le=5, description="Risen over 60 bars by at least this part. 60日涨幅不低于")
    day: float = Field(7.0, ge=1, le=30, description="No day that fell by more, in per cent. 单日跌幅不超过（%）")
    two_days: float = Field(10.0, ge=1, le=40, description="No two days that fell by more, in %. 两日累计跌幅不超过（%）")


class SteadyRise(EntryScreen):
    """Risen by 60 % in 60 bars without a deep fall. Score: the rise in per cent."""

    name = "steady_rise"
    zh = "无大幅回撤"
    en = "Steady rise"
    doc = "Risen by 60 % in 60 bars, and never fallen by 7 % in a day or 10 % in two (InStock's low_backtrace_increase)."
    Parameters: ClassVar[type[SteadyRiseParameters]] = SteadyRiseParameters
    needs: ClassVar[Needs] = {"daily_kline": ("open", "close", "pct_chg")}
    span = 60
    shown: ClassVar[Mapping[str, str]] = {"rise": "60日涨幅%"}
    _WINDOW = 60

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        given, change = self.parameters, pl.col("pct_chg")
        before = ref(1, "open")
        deep = (change < -given.day) | ((pl.col("close") / pl.col("open") - 1) * 100 < -given.day)
        deeper = (change + ref(1, "pct_chg") < -given.two_days) | ((pl.col("close") / before - 1) * 100 < -given.two_days)
        return bars.with_columns(
            rise=(pl.col("close") / ref(self._WINDOW - 1, "close") - 1) * 100,
            deep=deep.fill_null(False),
            deeper=deeper.fill_null(False),
        )

    def picked(self) -> pl.Expr:
        steady = (highest(self._WINDOW, "deep") == 0) & (highest(self._WINDOW - 1, "deeper") == 0)
        return (pl.col("rise") >= float(self.parameters.rise) * 100) & steady

    def scored(self) -> pl.Expr:
        return pl.col("rise")


class NewHighParameters(EntryParameters):
    """海龟交易法则."""

    window: int = Field(60, ge=2, le=250, description="The close is the highest of so many bars. 周期")


class NewHigh(EntryScreen):
    """The highest close of 60 bars. Score: the rise over them in per cent."""

    name = "new_high"
    zh = "收盘创新高"
    en = "New high"
    doc = "The close is the highest of 60 bars, today's included (InStock's turtle_trade)."
    Parameters: ClassVar[type[NewHighParameters]] = NewHighParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close",)}
    shown: ClassVar[Mapping[str, str]] = {"former": "此前最高收盘"}

    @property
    def lookback(self) -> int:
        return max(int(self.parameters.window), self.leaving)

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        window = self.parameters.window
        return bars.with_columns(top=highest(window, "close"), former=ref(1, highest(window - 1, "close")))

    def picked(self) -> pl.Expr:
        return pl.col("close") >= pl.col("top")

    def scored(self) -> pl.Expr:
        return (pl.col("close") / ref(self.parameters.window - 1, "close") - 1) * 100


class HighNarrowFlag(EntryScreen):
    """A price that nearly doubled within 14 bars with two limit-up days in a row, ten bars ago. Score: the rise."""

    name = "high_narrow_flag"
    zh = "高而窄的旗形"
    en = "High and narrow flag"
    doc = (
        "In 14 bars, ten ago, risen to 1.9 times the low with two limit-up days in a row (InStock's high_tight_flag; its "
        "condition on institutions of the 龙虎榜 is left out: those data are not held)."
    )
    needs: ClassVar[Needs] = _WITH_LIMITS
    span = 24
    shown: ClassVar[Mapping[str, str]] = {"grown": "涨至倍数"}
    _POLE, _FLAG = 14, 10

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        limit = bars.with_columns(limit=at_upper_limit())
        twice = limit.with_columns(twice=pl.col("limit") & (ref(1, "limit") > 0).fill_null(False))
        return twice.with_columns(
            grown=ref(self._FLAG, "high") / ref(self._FLAG, lowest(self._POLE)),
            pressed=ref(self._FLAG, highest(self._POLE - 1, "twice")),
        )

    def picked(self) -> pl.Expr:
        return (pl.col("grown") >= 1.9) & (pl.col("pressed") > 0)

    def scored(self) -> pl.Expr:
        return pl.col("grown")


class LimitDownOnVolumeParameters(EntryParameters):
    """放量跌停."""

    amount: float = Field(2.0, ge=0, le=1000, description="Turnover of at least so many 亿元. 成交额不低于，亿元")
    volume: float = Field(4.0, ge=1, le=50, description="Volume per the mean of five bars before: at least. 量比不低于")


class LimitDownOnVolume(EntryScreen):
    """Limit-down on four times the usual volume. Score: how many times."""

    name = "limit_down_on_volume"
    zh = "放量跌停"
    en = "Limit-down on volume"
    doc = "Closed at the lower limit on four times the mean volume and 200 million yuan (InStock's climax_limitdown)."
    Parameters: ClassVar[type[LimitDownOnVolumeParameters]] = LimitDownOnVolumeParameters
    needs: ClassVar[Needs] = _WITH_LIMITS
    span = 5
    shown: ClassVar[Mapping[str, str]] = {"heavier": "量比", "pct_chg": "涨跌幅"}

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        return bars.with_columns(heavier=_heavier())

    def picked(self) -> pl.Expr:
        given: LimitDownOnVolumeParameters = self.parameters
        return at_lower_limit() & (pl.col("amount") >= given.amount * YI) & (pl.col("heavier") >= given.volume)

    def scored(self) -> pl.Expr:
        return pl.col("heavier")


class LowAtrGrowthParameters(EntryParameters):
    """低 ATR 成长."""

    bars: int = Field(250, ge=20, le=500, description="Listed for at least so many bars. 上市不少于")
    move: float = Field(10.0, ge=1, le=30, description="Mean move of ten bars of at most so many per cent. 日均波动不超过（%）")
    rise: float = Field(
        10.0, ge=1, le=300, description="From lowest to highest close of ten bars, at least %. 十日高低差不低于（%）"
    )


class LowAtrGrowth(EntryScreen):
    """Ten bars of quiet days that still came to a good way. Score: that way per their mean move."""

    name = "low_atr_growth"
    zh = "低 ATR 成长"
    en = "Low-ATR growth"
    doc = "A way of 10 % between lowest and highest close of ten bars, whose mean move is at most 10 % (InStock's low_atr)."
    Parameters: ClassVar[type[LowAtrGrowthParameters]] = LowAtrGrowthParameters
    needs: ClassVar[Needs] = {"daily_kline": ("close", "pct_chg")}
    shown: ClassVar[Mapping[str, str]] = {"way": "十日高低差%", "move": "日均波动%"}
    _WINDOW = 10

    @property
    def lookback(self) -> int:
        return max(int(self.parameters.bars), self.leaving)

    @property
    def shallower(self) -> Mapping[str, int]:
        return {"pct_chg": self._WINDOW}

    def looked_at(self, bars: pl.DataFrame) -> pl.DataFrame:
        top, bottom = highest(self._WINDOW, "close"), lowest(self._WINDOW, "close")
        return bars.with_columns(way=(top / bottom - 1) * 100, move=ma(self._WINDOW, pl.col("pct_chg").abs()))

    def picked(self) -> pl.Expr:
        given: LowAtrGrowthParameters = self.parameters
        seasoned = ref(given.bars - 1, "close").is_not_null()
        return seasoned & (pl.col("move") <= given.move) & (pl.col("way") > given.rise)

    def scored(self) -> pl.Expr:
        return pl.when(pl.col("move") > 0).then(pl.col("way") / pl.col("move"))


SCREENS = (
    VolumeUp,
    RisingAverage,
    ParkingApron,
    BackToYearLine,
    PlatformBreakout,
    SteadyRise,
    NewHigh,
    HighNarrowFlag,
    LimitDownOnVolume,
    LowAtrGrowth,
)
