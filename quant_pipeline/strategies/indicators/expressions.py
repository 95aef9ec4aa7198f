"""Indicators as polars expressions over a code's own bars, in 通达信's conventions.

They go wherever an expression goes: `bars.with_columns(ma5=ma(5), up=pl.col("close") > ma(20))`. `bars`: with ts_code, a code's
rows together and oldest first. They keep codes apart by themselves: never put `.over` around them. A price or volume is a
column's name, or an expression of its own: `ma(5, "vol")`, `ema(10, pl.col("high") - pl.col("low"))`. Rows in which an
indicator has not enough bars yet are null; halts are no bars. Several of one frame are computed in one pass by `add`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import polars as pl

from quant_pipeline.strategies.indicators import kernels
from quant_pipeline.strategies.indicators.work import Work

Column: TypeAlias = "str | pl.Expr"


def ref(bars: int = 1, of: Column = "close") -> pl.Expr:
    """REF: the value of so many bars ago."""
    return _one(kernels.ref, [of], bars)


def ma(window: int, of: Column = "close") -> pl.Expr:
    """MA: the mean of the last `window` bars."""
    return _one(kernels.ma, [of], window)


def ema(window: int, of: Column = "close") -> pl.Expr:
    """EMA, alpha = 2 / (window + 1), from the first bar on."""
    return _one(kernels.ema, [of], _alpha(window))


def sma(window: int, weight: int = 1, of: Column = "close") -> pl.Expr:
    """SMA(x, window, weight) of 通达信: as EMA, alpha = weight / window."""
    return _one(kernels.ema, [of], weight / window)


def std(window: int, of: Column = "close") -> pl.Expr:
    """The population standard deviation of the last `window` bars."""
    return _one(kernels.std, [of], window)


def avedev(window: int, of: Column = "close") -> pl.Expr:
    """AVEDEV: the mean distance from the mean of the last `window` bars."""
    return _one(kernels.avedev, [of], window)


def highest(window: int, of: Column = "high") -> pl.Expr:
    """HHV: the highest of the last `window` bars, this one included."""
    return _one(kernels.highest, [of], window)


def lowest(window: int, of: Column = "low") -> pl.Expr:
    """LLV: the lowest of the last `window` bars, this one included."""
    return _one(kernels.lowest, [of], window)


def macd(fast: int = 12, slow: int = 26, signal: int = 9, of: Column = "close") -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """DIF, DEA and the histogram 2 x (DIF - DEA)."""
    dif, dea, histogram = _several(kernels.macd, [of], 3, _alpha(fast), _alpha(slow), _alpha(signal))
    return dif, dea, histogram


def rsi(window: int = 14, of: Column = "close") -> pl.Expr:
    """RSI: SMA of the rises per SMA of all moves, in per cent. Null while a price has never moved."""
    return _one(kernels.rsi, [of], 1 / window)


def kdj(window: int = 9, k: int = 3, d: int = 3) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """K, D and J = 3K - 2D, of high, low and close; where the extremes are one price, K and D stay as they were."""
    first, second, third = _several(kernels.kdj, ["high", "low", "close"], 3, window, 1 / k, 1 / d)
    return first, second, third


def boll(window: int = 20, width: float = 2.0, of: Column = "close") -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """The middle, upper and lower band: MA, and it ± `width` population standard deviations."""
    middle, upper, lower = _several(kernels.boll, [of], 3, window, float(width))
    return middle, upper, lower


def atr(window: int = 14) -> pl.Expr:
    """ATR: MA of the true range (通达信), not Wilder's average."""
    return _one(kernels.atr, ["high", "low", "close"], window)


def cci(window: int = 14) -> pl.Expr:
    """CCI of the typical price (high + low + close) / 3."""
    typical = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
    return _over(typical - ma(window, typical), 0.015 * avedev(window, typical))


def wr(window: int = 10) -> pl.Expr:
    """W&R: how far the close lies below the highest of the window, in per cent of the window's range."""
    top, bottom = highest(window), lowest(window)
    return _over((top - pl.col("close")) * 100, top - bottom)


def dmi(window: int = 14, smoothing: int = 6) -> tuple[pl.Expr, pl.Expr, pl.Expr, pl.Expr]:
    """PDI, MDI, ADX and ADXR."""
    pdi, mdi, adx, adxr = _several(kernels.dmi, ["high", "low", "close"], 4, window, smoothing, holed=True)
    return pdi, mdi, adx, adxr


def bias(window: int = 6, of: Column = "close") -> pl.Expr:
    """BIAS: how far the close lies from its mean, in per cent of it."""
    mean = ma(window, of)
    return _over((_column(of) - mean) * 100, mean)


def trix(window: int = 12, average: int = 9, of: Column = "close") -> tuple[pl.Expr, pl.Expr]:
    """TRIX, the change of the threefold EMA in per cent, and its mean."""
    line = _one(kernels.trix, [of], _alpha(window), holed=True)
    return line, ma(average, line)


def roc(window: int = 12, average: int = 6, of: Column = "close") -> tuple[pl.Expr, pl.Expr]:
    """ROC, the change since so many bars ago in per cent, and its mean."""
    before = ref(window, of)
    line = _over((_column(of) - before) * 100, before)
    return line, ma(average, line)


def psy(window: int = 12, average: int = 6, of: Column = "close") -> tuple[pl.Expr, pl.Expr]:
    """PSY, how many of the last bars rose in per cent, and its mean."""
    line = _one(kernels.psy, [of], window)
    return line, ma(average, line)


def vr(window: int = 26, average: int = 6) -> tuple[pl.Expr, pl.Expr]:
    """VR, the volume of rising bars per that of the others in per cent, and its mean."""
    line = _one(kernels.vr, ["close", "vol"], window, holed=True)
    return line, ma(average, line)


def bbi(first: int = 3, second: int = 6, third: int = 12, fourth: int = 24) -> pl.Expr:
    """BBI: the mean of four moving averages."""
    return (ma(first) + ma(second) + ma(third) + ma(fourth)) / 4


def obv() -> pl.Expr:
    """OBV: the volume [手] of bars that rose less that of bars that fell, since the first bar that is there."""
    return _one(kernels.obv, ["close", "vol"])


def sar(bars: int = 4, step: float = 2.0, most: float = 20.0) -> pl.Expr:
    """SAR(4, 2, 20): Wilder's parabolic, its paces in per cent."""
    return _one(kernels.sar, ["high", "low"], bars, step / 100, most / 100)


def volume_ratio(window: int = 5) -> pl.Expr:
    """量比: the volume per the mean of the `window` bars before."""
    return _over(pl.col("vol"), ref(1, ma(window, "vol")))


def since(condition: Column) -> pl.Expr:
    """BARSLAST: how many bars ago the condition last held; 0 where it holds, null before it ever did."""
    return _one(kernels.since, [condition])


def streak(condition: Column) -> pl.Expr:
    """BARSLASTCOUNT: for how many bars up to this one the condition has held."""
    return _one(kernels.streak, [condition])


def value_when(condition: Column, of: Column) -> pl.Expr:
    """VALUEWHEN: the value at the last bar for which the condition held; null before it ever did."""
    return _one(kernels.value_when, [condition, of], holed=True)


def rps(window: int = 120, of: Column = "close") -> pl.Expr:
    """RPS: where the change since `window` bars ago ranks among all codes of the session, in per cent; 100 is the strongest.

    Of a frame of the whole market: it compares codes. Codes of fewer bars have no rank.
    """
    before = ref(window, of)
    return ranked(_over(_column(of), before))


def ranked(of: pl.Expr) -> pl.Expr:
    """The rank of a value among those of its session, in per cent of how many have one; equal values share their mean rank."""
    return pl.map_batches([pl.col("trade_date"), of], _ranked, return_dtype=pl.Float64)


def crosses(line: pl.Expr, other: pl.Expr | float) -> pl.Expr:
    """CROSS: whether the line stands above the other, and did not in the code's bar before. False while either is null.

    Lines that are equal but for the last digits of their sums are equal.
    """
    gap = (line - other).round(_DIGITS)
    return ((gap > 0) & (ref(1, gap) <= 0)).fill_null(False)


_DIGITS = 9


def _alpha(window: int) -> float:
    return 2 / (window + 1)


def _over(value: pl.Expr, by: pl.Expr) -> pl.Expr:
    """The quotient; null where there is nothing to divide by."""
    return pl.when(by != 0).then(value / by)


def _ranked(series: Sequence[pl.Series]) -> pl.Series:
    day, value = series
    rank = (pl.col("value").rank("average") / pl.col("value").count() * 100).over("day")
    return pl.DataFrame({"day": day, "value": value}).select(rank.cast(pl.Float64))["value"]


def _column(of: Column) -> pl.Expr:
    return pl.col(of) if isinstance(of, str) else of


def of_kernel(kernel: Callable[..., None], inputs: Sequence[Column], *parameters: float) -> pl.Expr:
    """The column that a kernel of one's own writes (see `kernels` for what it takes): a loop over a code's bars, compiled."""
    return _one(kernel, inputs, *parameters, holed=True)


def several_of_kernel(kernel: Callable[..., None], inputs: Sequence[Column], outputs: int, *parameters: float) -> list[pl.Expr]:
    """As `of_kernel`, of a kernel that writes several columns."""
    return _several(kernel, inputs, outputs, *parameters, holed=True)


def _one(kernel: Callable[..., None], inputs: Sequence[Column], *parameters: float, holed: bool = False) -> pl.Expr:
    return _several(kernel, inputs, 1, *parameters, holed=holed)[0]


def _several(
    kernel: Callable[..., None], inputs: Sequence[Column], outputs: int, *parameters: float, holed: bool = False
) -> list[pl.Expr]:
    """An expression for each column that the kernel writes."""
    names = tuple(str(place) for place in range(len(inputs)))
    work = Work(kernel, names, parameters, outputs, holed)
    columns = [pl.col("ts_code"), *(_column(of) for of in inputs)]
    return [
        pl.map_batches(columns, partial(_run, work, place), return_dtype=pl.Float64).alias(f"{kernel.__name__}_{place}")
        for place in range(outputs)
    ]


def _run(work: Work, place: int, series: Sequence[pl.Series]) -> pl.Series:
    codes, *inputs = series
    from quant_pipeline.strategies.indicators.running import run  # numpy

    return run(codes, dict(zip(work.inputs, inputs, strict=True)), [work])[place]
