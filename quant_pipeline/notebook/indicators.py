"""`qp.indicators`: 通达信's indicators for frames of a notebook. `add` puts columns beside bars, pandas' or polars'; the other
names are polars expressions, as strategies use them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

import polars as pl

from quant_pipeline.language import say
from quant_pipeline.notebook.errors import QueryError, in_sentences
from quant_pipeline.strategies import indicators
from quant_pipeline.strategies.indicators import (
    IndicatorError,
    atr,
    avedev,
    bbi,
    bias,
    boll,
    cci,
    crosses,
    dmi,
    ema,
    highest,
    kdj,
    lowest,
    ma,
    macd,
    obv,
    of_kernel,
    psy,
    ranked,
    ref,
    roc,
    rps,
    rsi,
    sar,
    since,
    sma,
    std,
    streak,
    trix,
    value_when,
    volume_ratio,
    vr,
    wr,
)
from quant_pipeline.strategies.indicators.running import Buffers

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Buffers",
    "IndicatorError",
    "add",
    "atr",
    "avedev",
    "bbi",
    "bias",
    "boll",
    "cci",
    "crosses",
    "dmi",
    "ema",
    "highest",
    "kdj",
    "lowest",
    "ma",
    "macd",
    "obv",
    "of_kernel",
    "psy",
    "ranked",
    "ref",
    "roc",
    "rps",
    "rsi",
    "sar",
    "since",
    "sma",
    "std",
    "streak",
    "trix",
    "value_when",
    "volume_ratio",
    "vr",
    "wr",
]
_KEY = ("ts_code", "trade_date")
_PLACE = "its place in the frame"


@overload
def add(bars: pd.DataFrame, names: str | Iterable[str]) -> pd.DataFrame: ...
@overload
def add(bars: pl.DataFrame, names: str | Iterable[str]) -> pl.DataFrame: ...
@in_sentences
def add(bars: pd.DataFrame | pl.DataFrame, names: str | Iterable[str]) -> pd.DataFrame | pl.DataFrame:
    """The bars with the columns of these indicators beside them: `add(qp.bars("600000.SH"), "MA5 MA20 MACD KDJ")`.

    `bars`: as `qp.bars` gives them, of one code or several, with trade_date (and ts_code) as index or columns; order and
    index stay. QueryError: an indicator that there is not (with those there are), a column that lacks.
    """
    if isinstance(bars, pl.DataFrame):
        return _beside(bars, names)
    plain = pl.from_pandas(bars.reset_index())
    with_them = _beside(plain, names)
    new = [name for name in with_them.columns if name not in plain.columns]
    values: dict[str, Any] = {name: with_them[name].to_numpy() for name in new}
    return bars.assign(**values)


def _beside(bars: pl.DataFrame, names: str | Iterable[str]) -> pl.DataFrame:
    if "trade_date" not in bars.columns:
        raise QueryError(say("the frame has no trade_date, neither as a column nor in its index: take one of qp.bars"))
    one = bars if "ts_code" in bars.columns else bars.with_columns(ts_code=pl.lit(""))
    there = indicators.add(one.with_row_index(_PLACE).sort(_KEY), names).sort(_PLACE)
    return there.select(*bars.columns, *(name for name in there.columns if name not in {*one.columns, _PLACE}))
