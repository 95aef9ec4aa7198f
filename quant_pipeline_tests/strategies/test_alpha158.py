"""Alpha158 against qlib's own definitions, written out in pandas; its names and order; nothing of the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from quant_pipeline.strategies.alpha158 import COLUMNS, LOOKBACK, WINDOWS, alpha158, label
from quant_pipeline_tests.strategies.shared import market

PANEL = market(codes=3, sessions=110)
N = 10


def _own(code: str) -> pd.DataFrame:
    own = PANEL.filter(ts_code=code).to_pandas().set_index("trade_date")
    return own.assign(before=own["close"].shift(1), volume_before=own["vol"].shift(1))


def _slope(values: np.ndarray) -> float:
    return float(np.polyfit(np.arange(1, values.size + 1), values, 1)[0])


def _residual(values: np.ndarray) -> float:
    x = np.arange(1, values.size + 1)
    return float(values[-1] - np.polyval(np.polyfit(x, values, 1), values.size))


def _square(values: np.ndarray) -> float:
    return float(np.corrcoef(np.arange(values.size), values)[0, 1] ** 2)


EXPECTED = {
    "KMID": lambda b: b["close"] / b["open"] - 1,
    "KLEN": lambda b: (b["high"] - b["low"]) / b["open"],
    "KUP2": lambda b: (b["high"] - b[["open", "close"]].max(axis=1)) / (b["high"] - b["low"] + 1e-12),
    "KLOW": lambda b: (b[["open", "close"]].min(axis=1) - b["low"]) / b["open"],
    "KSFT2": lambda b: (2 * b["close"] - b["high"] - b["low"]) / (b["high"] - b["low"] + 1e-12),
    "OPEN0": lambda b: b["open"] / b["close"],
    "HIGH0": lambda b: b["high"] / b["close"],
    "LOW0": lambda b: b["low"] / b["close"],
    f"MAX{N}": lambda b: b["high"].rolling(N).max() / b["close"],
    f"MIN{N}": lambda b: b["low"].rolling(N).min() / b["close"],
    f"IMIN{N}": lambda b: (b["low"].rolling(N).apply(np.argmin, raw=True) + 1) / N,
    f"CNTP{N}": lambda b: _moves(b, lambda m: (m > 0).astype(float)),
    f"CNTN{N}": lambda b: _moves(b, lambda m: (m < 0).astype(float)),
    f"SUMD{N}": lambda b: _moves(b, lambda m: m) / _moves(b, abs),
    f"VSTD{N}": lambda b: b["vol"].rolling(N).std() / b["vol"],
    f"VSUMP{N}": lambda b: _moves(b, lambda m: m.clip(lower=0), "vol") / _moves(b, abs, "vol"),
    f"VSUMN{N}": lambda b: _moves(b, lambda m: (-m).clip(lower=0), "vol") / _moves(b, abs, "vol"),
    f"VSUMD{N}": lambda b: _moves(b, lambda m: m, "vol") / _moves(b, abs, "vol"),
    "KMID2": lambda b: (b["close"] - b["open"]) / (b["high"] - b["low"] + 1e-12),
    "KUP": lambda b: (b["high"] - b[["open", "close"]].max(axis=1)) / b["open"],
    "KLOW2": lambda b: (b[["open", "close"]].min(axis=1) - b["low"]) / (b["high"] - b["low"] + 1e-12),
    "KSFT": lambda b: (2 * b["close"] - b["high"] - b["low"]) / b["open"],
    "VWAP0": lambda b: b["amount"] * 10 / b["vol"] / b["raw_close"],
    f"ROC{N}": lambda b: b["close"].shift(N) / b["close"],
    f"MA{N}": lambda b: b["close"].rolling(N).mean() / b["close"],
    f"STD{N}": lambda b: b["close"].rolling(N).std() / b["close"],
    f"BETA{N}": lambda b: b["close"].rolling(N).apply(_slope, raw=True) / b["close"],
    f"RSQR{N}": lambda b: b["close"].rolling(N).apply(_square, raw=True),
    f"RESI{N}": lambda b: b["close"].rolling(N).apply(_residual, raw=True) / b["close"],
    f"QTLU{N}": lambda b: b["close"].rolling(N).quantile(0.8) / b["close"],
    f"QTLD{N}": lambda b: b["close"].rolling(N).quantile(0.2) / b["close"],
    f"RANK{N}": lambda b: b["close"].rolling(N).rank(pct=True),
    f"RSV{N}": lambda b: (
        (b["close"] - b["low"].rolling(N).min()) / (b["high"].rolling(N).max() - b["low"].rolling(N).min() + 1e-12)
    ),
    f"IMAX{N}": lambda b: (b["high"].rolling(N).apply(np.argmax, raw=True) + 1) / N,
    f"IMXD{N}": lambda b: (
        (b["high"].rolling(N).apply(np.argmax, raw=True) - b["low"].rolling(N).apply(np.argmin, raw=True)) / N
    ),
    f"CORR{N}": lambda b: b["close"].rolling(N).corr(np.log(b["vol"] + 1)),
    f"CORD{N}": lambda b: (b["close"] / b["before"]).rolling(N).corr(np.log(b["vol"] / b["volume_before"] + 1)),
    f"CNTD{N}": lambda b: _moves(b, lambda m: (m > 0).astype(float)) - _moves(b, lambda m: (m < 0).astype(float)),
    f"SUMP{N}": lambda b: _moves(b, lambda m: m.clip(lower=0)) / _moves(b, abs),
    f"SUMN{N}": lambda b: _moves(b, lambda m: (-m).clip(lower=0)) / _moves(b, abs),
    f"VMA{N}": lambda b: b["vol"].rolling(N).mean() / b["vol"],
    f"WVMA{N}": lambda b: _weighted(b).rolling(N).std() / _weighted(b).rolling(N).mean(),
}


def _moves(bars: pd.DataFrame, of: object, column: str = "close") -> pd.Series:
    moved = bars[column].diff()
    return of(moved).where(moved.notna()).rolling(N).mean()  # type: ignore[operator, no-any-return]


def _weighted(bars: pd.DataFrame) -> pd.Series:
    return (bars["close"] / bars["before"] - 1).abs() * bars["vol"]


@pytest.fixture(scope="module")
def found() -> pl.DataFrame:
    return alpha158(PANEL)


def test_there_are_158_in_qlib_s_names_and_order(found: pl.DataFrame) -> None:
    features = found.columns[2:]
    assert len(features) == 158
    assert features[:13] == "KMID KLEN KMID2 KUP KUP2 KLOW KLOW2 KSFT KSFT2 OPEN0 HIGH0 LOW0 VWAP0".split()
    assert features[13:23] == [*(f"ROC{n}" for n in WINDOWS), *(f"MA{n}" for n in WINDOWS)]
    assert features[-1] == "VSUMD60"
    assert found.select(pl.col(features).is_nan().any()).row(0) == (False,) * 158


def test_every_feature_is_among_those_that_are_compared(found: pl.DataFrame) -> None:
    assert {name.rstrip("0123456789") for name in EXPECTED} == {name.rstrip("0123456789") for name in found.columns[2:]}


@pytest.mark.parametrize("name", EXPECTED)
def test_as_qlib_defines_it(name: str, found: pl.DataFrame) -> None:
    for code in PANEL["ts_code"].unique():
        expected = EXPECTED[name](_own(code)).to_numpy()
        ours = found.filter(ts_code=code)[name].to_numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9, equal_nan=True)


def test_it_takes_no_more_bars_and_columns_than_it_says(found: pl.DataFrame) -> None:
    last = PANEL.group_by("ts_code", maintain_order=True).tail(LOOKBACK + 1).select("ts_code", "trade_date", *COLUMNS)
    ends = alpha158(last).group_by("ts_code", maintain_order=True).tail(1)
    whole = found.group_by("ts_code", maintain_order=True).tail(1)
    for name in found.columns[2:]:
        np.testing.assert_allclose(ends[name].to_numpy(), whole[name].to_numpy(), rtol=1e-6, atol=1e-9, err_msg=name)


def test_nothing_comes_from_later_but_the_label(found: pl.DataFrame) -> None:
    cut = PANEL["trade_date"].unique().sort()[80]
    early = PANEL.filter(pl.col("trade_date") <= cut)
    assert alpha158(early).equals(found.filter(pl.col("trade_date") <= cut))
    of_one = label(PANEL).filter(ts_code=PANEL["ts_code"][0])
    close = PANEL.filter(ts_code=PANEL["ts_code"][0])["close"]
    assert of_one["LABEL0"][0] == pytest.approx(close[2] / close[1] - 1)
    assert of_one["LABEL0"].tail(2).to_list() == [None, None]
