"""Several indicators by the names that people type, in one pass over the bars."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.strategies.indicators import expressions as each
from quant_pipeline.strategies.indicators import kernels
from quant_pipeline.strategies.indicators.work import Work

if TYPE_CHECKING:
    from quant_pipeline.strategies.indicators.running import Buffers


class IndicatorError(ValueError):
    """A name of no indicator, parameters that it does not take, or columns that the bars lack."""


@dataclass(frozen=True)
class _Indicator:
    """`columns` it adds, its usual `parameters`, and how: as a kernel over `inputs` with the arguments that `prepared` makes
    of the parameters, or as expressions."""

    columns: tuple[str, ...]
    parameters: tuple[float, ...]
    kernel: Callable[..., None] | None = None
    inputs: tuple[str, ...] = ("close",)
    prepared: Callable[..., tuple[float, ...]] = lambda *parameters: parameters
    expressions: Callable[..., pl.Expr | tuple[pl.Expr, ...]] | None = None
    fractions: bool = False
    """Whether a parameter need not be whole: all windows must."""


def _alphas(*windows: float) -> tuple[float, ...]:
    return tuple(2 / (window + 1) for window in windows)


_BARS = ("high", "low", "close")
_KNOWN: dict[str, _Indicator] = {
    "MA": _Indicator(("ma",), (5,), kernels.ma),
    "EMA": _Indicator(("ema",), (12,), kernels.ema, prepared=_alphas),
    "MACD": _Indicator(("dif", "dea", "macd"), (12, 26, 9), kernels.macd, prepared=_alphas),
    "RSI": _Indicator(("rsi",), (14,), kernels.rsi, prepared=lambda window: (1 / window,)),
    "KDJ": _Indicator(("k", "d", "j"), (9, 3, 3), kernels.kdj, _BARS, lambda window, k, d: (window, 1 / k, 1 / d)),
    "BOLL": _Indicator(
        ("boll_mid", "boll_up", "boll_low"),
        (20, 2),
        kernels.boll,
        prepared=lambda window, width: (window, float(width)),
        fractions=True,
    ),
    "ATR": _Indicator(("atr",), (14,), kernels.atr, _BARS),
    "OBV": _Indicator(("obv",), (), kernels.obv, ("close", "vol")),
    "CCI": _Indicator(("cci",), (14,), inputs=_BARS, expressions=each.cci),
    "WR": _Indicator(("wr",), (10,), inputs=_BARS, expressions=each.wr),
    "DMI": _Indicator(("pdi", "mdi", "adx", "adxr"), (14, 6), kernels.dmi, _BARS),
    "BIAS": _Indicator(("bias",), (6,), expressions=each.bias),
    "TRIX": _Indicator(("trix", "matrix"), (12, 9), expressions=each.trix),
    "ROC": _Indicator(("roc", "maroc"), (12, 6), expressions=each.roc),
    "PSY": _Indicator(("psy", "psyma"), (12, 6), expressions=each.psy),
    "VR": _Indicator(("vr", "mavr"), (26, 6), inputs=("close", "vol"), expressions=each.vr),
    "BBI": _Indicator(("bbi",), (3, 6, 12, 24), expressions=each.bbi),
    "SAR": _Indicator(
        ("sar",),
        (4, 2, 20),
        kernels.sar,
        ("high", "low"),
        lambda bars, step, most: (bars, step / 100, most / 100),
        fractions=True,
    ),
    "VOLRATIO": _Indicator(("volume_ratio",), (5,), inputs=("vol",), expressions=each.volume_ratio),
    "HHV": _Indicator(("hhv",), (20,), kernels.highest, ("high",)),
    "LLV": _Indicator(("llv",), (20,), kernels.lowest, ("low",)),
    "RPS": _Indicator(("rps",), (120,), inputs=("close", "trade_date"), expressions=each.rps),
}
_NAME = re.compile(r"([A-Z]+)(\d*)(?:\(([\d., ]+)\))?")


def add(bars: pl.DataFrame, names: str | Iterable[str], *, buffers: Buffers | None = None) -> pl.DataFrame:
    """The bars with these indicators beside them: `add(bars, "MA5 MA20 MACD RSI14 BOLL KDJ")`.

    `bars`: ts_code, trade_date and prices, a code's rows together and oldest first. A name is an indicator's, with its window
    behind it (MA5, RSI14) or all its parameters: MACD(12,26,9). MA5 adds the column ma5, MACD dif, dea and macd, BOLL boll_mid,
    boll_up and boll_low; parameters that are not the usual ones stand in the column's name: MACD(5,10,4) adds dif_5_10_4.

    `buffers`: memory that is used again by the next call with them, in a loop over many frames: it overwrites this one's
    columns. IndicatorError says which name is none.
    """
    from quant_pipeline.strategies.indicators.running import run  # numpy

    wanted = names.split() if isinstance(names, str) else list(names)
    asked = [_asked(name) for name in wanted]
    work = [
        Work(known.kernel, known.inputs, known.prepared(*given), len(columns))
        for known, given, columns in asked
        if known.kernel
    ]
    needed = dict.fromkeys(["ts_code", *(name for known, _, _ in asked for name in known.inputs)])
    if missing := [name for name in needed if name not in bars.columns]:
        raise IndicatorError(say("the bars lack {columns}", columns=", ".join(missing)))
    inputs = {name: bars[name] for task in work for name in task.inputs}
    found = iter(run(bars["ts_code"], inputs, work, buffers) if work else [])
    added: list[pl.Series | pl.Expr] = []
    for known, given, columns in asked:
        if known.expressions is None:
            added += [next(found).alias(column) for column in columns]
        else:
            made = known.expressions(*given)
            added += [
                one.alias(column) for one, column in zip(made if isinstance(made, tuple) else (made,), columns, strict=True)
            ]
    return bars.with_columns(added)


def _asked(name: str) -> tuple[_Indicator, tuple[float, ...], Sequence[str]]:
    """The indicator, its parameters and the columns that it adds."""
    match = _NAME.fullmatch(name.strip().upper())
    known = _KNOWN.get(match[1]) if match else None
    if match is None or known is None:
        raise IndicatorError(say("{name!r} is no indicator; there are {known}", name=name, known=" ".join(_KNOWN)))
    written = match[2] or match[3]
    if written and match[2] and match[3]:
        raise IndicatorError(say("{name!r} has its window twice", name=name))
    given = tuple(_number(text) for text in written.split(",")) if written else known.parameters
    whole = (known.fractions and isinstance(given[0], int)) or all(isinstance(value, int) for value in given)
    if len(given) > len(known.parameters) or not whole or any(not 0 < value < math.inf for value in given):
        usual = ",".join(f"{value:g}" for value in known.parameters)
        raise IndicatorError(say("{name!r}: it is {known}({usual})", name=name, known=match[1], usual=usual))
    given = (*given, *known.parameters[len(given) :])
    if len(known.columns) == 1 and len(known.parameters) == 1:
        return known, given, [f"{known.columns[0]}{given[0]:g}"]
    if given == known.parameters:
        return known, given, known.columns
    tail = "_".join(f"{value:g}" for value in given)
    return known, given, [f"{column}_{tail}" for column in known.columns]


def _number(text: str) -> float:
    """nan for what is no number."""
    try:
        return int(text) if "." not in text else float(text)
    except ValueError:
        return math.nan
