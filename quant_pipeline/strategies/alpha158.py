"""Alpha158, qlib's 158 features of bars, as a ready set of columns.

After qlib's own list (`qlib/contrib/data/loader.py`). Windows are whole here: qlib takes what there is of a window at a
code's beginning, this set says null. The label is not among them, as it lies in the future: `label` gives it.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from quant_pipeline.strategies.indicators import highest, lowest, ma, of_kernel, ref
from quant_pipeline.strategies.indicators.expressions import several_of_kernel
from quant_pipeline.strategies.indicators.windows import (
    correlation,
    place_in_order,
    place_of_highest,
    place_of_lowest,
    quantile,
    regression,
    sample_std,
)

WINDOWS = (5, 10, 20, 30, 60)
LOOKBACK = 61
"""How many of a code's bars it must see before one, for all of its features."""
COLUMNS = ("open", "high", "low", "close", "vol", "amount", "raw_close")
"""What it takes of a panel: raw_close because the volume-weighted price is of unadjusted prices."""
_TINY = 1e-12


def alpha158(bars: pl.DataFrame, windows: Iterable[int] = WINDOWS) -> pl.DataFrame:
    """ts_code, trade_date and the features of each bar of a panel, in qlib's names and order: KMID … VSUMD60.

    null where a window is not full, or a feature is not defined (a correlation with what never moves).
    """
    close, volume = pl.col("close"), pl.col("vol")
    traded = pl.col("amount") * 10 / pl.when(volume > 0).then(volume)
    known = bars.select("ts_code", "trade_date", *COLUMNS).with_columns(
        vwap=traded * close / pl.col("raw_close"),
        before=ref(1, close),
        volume_before=ref(1, volume),
        log_volume=(volume + 1).log(),
    )
    change, moved = close - pl.col("before"), volume - pl.col("volume_before")
    known = known.with_columns(
        growth=close / pl.col("before"),
        volume_growth=(volume / pl.when(pl.col("volume_before") > 0).then("volume_before") + 1).log(),
        up=pl.when(change.is_not_null()).then((change > 0).cast(pl.Float64)),
        down=pl.when(change.is_not_null()).then((change < 0).cast(pl.Float64)),
        rise=pl.max_horizontal(change, pl.when(change.is_not_null()).then(0.0)),
        size=change.abs(),
        volume_rise=pl.max_horizontal(moved, pl.when(moved.is_not_null()).then(0.0)),
        volume_size=moved.abs(),
        weighted=(close / pl.col("before") - 1).abs() * volume,
    )
    features = _of_the_bar()
    rolling = [_of_windows(window) for window in windows]
    for name in rolling[0] if rolling else ():
        features |= {f"{name}{window}": each[name] for window, each in zip(windows, rolling, strict=True)}
    found = known.select("ts_code", "trade_date", **features)
    return found.with_columns(pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in features)


def label(bars: pl.DataFrame) -> pl.DataFrame:
    """ts_code, trade_date and qlib's label: the return from the next bar's close to that of the bar after it. It looks ahead,
    as a label must."""
    close = pl.col("close").sort_by("trade_date")
    return bars.select("ts_code", "trade_date", LABEL0=(close.shift(-2) / close.shift(-1) - 1).over("ts_code"))


def _of_the_bar() -> dict[str, pl.Expr]:
    open_, high, low, close = (pl.col(name) for name in ("open", "high", "low", "close"))
    top, bottom = pl.max_horizontal(open_, close), pl.min_horizontal(open_, close)
    length = high - low + _TINY
    return {
        "KMID": (close - open_) / open_,
        "KLEN": (high - low) / open_,
        "KMID2": (close - open_) / length,
        "KUP": (high - top) / open_,
        "KUP2": (high - top) / length,
        "KLOW": (bottom - low) / open_,
        "KLOW2": (bottom - low) / length,
        "KSFT": (2 * close - high - low) / open_,
        "KSFT2": (2 * close - high - low) / length,
        "OPEN0": open_ / close,
        "HIGH0": high / close,
        "LOW0": low / close,
        "VWAP0": pl.col("vwap") / close,
    }


def _of_windows(n: int) -> dict[str, pl.Expr]:
    close = pl.col("close")
    slope, square, residual = several_of_kernel(regression, ["close"], 3, n)
    top_at, bottom_at = of_kernel(place_of_highest, ["high"], n), of_kernel(place_of_lowest, ["low"], n)
    low = lowest(n)
    rises, sizes = ma(n, "rise"), ma(n, "size") + _TINY / n
    volume_rises, volume_sizes = ma(n, "volume_rise"), ma(n, "volume_size") + _TINY / n
    return {
        "ROC": ref(n, "close") / close,
        "MA": ma(n) / close,
        "STD": of_kernel(sample_std, ["close"], n) / close,
        "BETA": slope / close,
        "RSQR": square,
        "RESI": residual / close,
        "MAX": highest(n) / close,
        "MIN": low / close,
        "QTLU": of_kernel(quantile, ["close"], n, 0.8) / close,
        "QTLD": of_kernel(quantile, ["close"], n, 0.2) / close,
        "RANK": of_kernel(place_in_order, ["close"], n),
        "RSV": (close - low) / (highest(n) - low + _TINY),
        "IMAX": top_at / n,
        "IMIN": bottom_at / n,
        "IMXD": (top_at - bottom_at) / n,
        "CORR": of_kernel(correlation, ["close", "log_volume"], n),
        "CORD": of_kernel(correlation, ["growth", "volume_growth"], n),
        "CNTP": ma(n, "up"),
        "CNTN": ma(n, "down"),
        "CNTD": ma(n, "up") - ma(n, "down"),
        "SUMP": rises / sizes,
        "SUMN": (ma(n, "size") - rises) / sizes,
        "SUMD": (2 * rises - ma(n, "size")) / sizes,
        "VMA": ma(n, "vol") / (pl.col("vol") + _TINY),
        "VSTD": of_kernel(sample_std, ["vol"], n) / (pl.col("vol") + _TINY),
        "WVMA": of_kernel(sample_std, ["weighted"], n) / (ma(n, "weighted") + _TINY),
        "VSUMP": volume_rises / volume_sizes,
        "VSUMN": (ma(n, "volume_size") - volume_rises) / volume_sizes,
        "VSUMD": (2 * volume_rises - ma(n, "volume_size")) / volume_sizes,
    }
