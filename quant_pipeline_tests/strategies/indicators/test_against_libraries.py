"""To 1e-9 what MyTT (通达信's formulas in pandas) says with its rounding switched off, and TA-Lib where its convention is the
same; code by code, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import MyTT as mytt  # noqa: N813
import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings

from quant_pipeline.strategies.indicators import (
    add,
    atr,
    avedev,
    bbi,
    bias,
    boll,
    cci,
    dmi,
    ema,
    highest,
    kdj,
    lowest,
    ma,
    macd,
    obv,
    psy,
    ref,
    roc,
    rps,
    rsi,
    running,
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
from quant_pipeline_tests.strategies.indicators.market import markets, walks

Columns = Mapping[str, np.ndarray]
CASES: dict[str, tuple[Callable[[], object], Callable[[Columns], object]]] = {
    "ref": (lambda: ref(3), lambda b: mytt.REF(b["close"], 3)),
    "ma": (lambda: ma(7), lambda b: mytt.MA(b["close"], 7)),
    "ma of volume": (lambda: ma(5, "vol"), lambda b: mytt.MA(b["vol"], 5)),
    "ema": (lambda: ema(12), lambda b: mytt.EMA(b["close"], 12)),
    "sma": (lambda: sma(6, 2), lambda b: mytt.SMA(b["close"], 6, 2)),
    "std": (lambda: std(9), lambda b: mytt.STD(b["close"], 9)),
    "avedev": (lambda: avedev(9), lambda b: mytt.AVEDEV(b["close"], 9)),
    "highest": (lambda: highest(11), lambda b: mytt.HHV(b["high"], 11)),
    "lowest": (lambda: lowest(11), lambda b: mytt.LLV(b["low"], 11)),
    "since": (lambda: since(pl.col("close") > pl.col("open")), lambda b: _since(mytt.BARSLAST(b["close"] > b["open"]), b)),
    "streak": (lambda: streak(pl.col("close") > pl.col("open")), lambda b: _streak(b["close"] > b["open"])),
    "value when": (
        lambda: value_when(pl.col("close") > pl.col("open"), "low"),
        lambda b: mytt.VALUEWHEN(b["close"] > b["open"], b["low"]),
    ),
    "macd": (macd, lambda b: mytt.MACD(b["close"])),
    "rsi": (lambda: rsi(14), lambda b: mytt.RSI(b["close"], 14)),
    "rsi 6": (lambda: rsi(6), lambda b: mytt.RSI(b["close"], 6)),
    "kdj": (kdj, lambda b: mytt.KDJ(b["close"], b["high"], b["low"])),
    "kdj 3": (lambda: kdj(3), lambda b: mytt.KDJ(b["close"], b["high"], b["low"], 3)),
    "kdj 8": (lambda: kdj(8), lambda b: mytt.KDJ(b["close"], b["high"], b["low"], 8)),
    "kdj 14": (lambda: kdj(14), lambda b: mytt.KDJ(b["close"], b["high"], b["low"], 14)),
    "boll": (boll, lambda b: _turned(mytt.BOLL(b["close"]))),
    "atr": (lambda: atr(14), lambda b: mytt.ATR(b["close"], b["high"], b["low"], 14)),
    "cci": (cci, lambda b: mytt.CCI(b["close"], b["high"], b["low"])),
    "wr": (lambda: (wr(10), wr(6)), lambda b: mytt.WR(b["close"], b["high"], b["low"])),
    "bias": (lambda: (bias(6), bias(12), bias(24)), lambda b: mytt.BIAS(b["close"])),
    "dmi": (dmi, lambda b: mytt.DMI(b["close"], b["high"], b["low"])),
    "trix": (lambda: trix(12, 20), lambda b: mytt.TRIX(b["close"])),
    "roc": (roc, lambda b: mytt.ROC(b["close"])),
    "psy": (psy, lambda b: mytt.PSY(b["close"])),
    "vr": (lambda: vr()[0], lambda b: mytt.VR(b["close"], b["vol"])),
    "bbi": (lambda: bbi(fourth=20), lambda b: mytt.BBI(b["close"])),
    "obv": (obv, lambda b: mytt.OBV(b["close"], b["vol"]) * 10_000),
}


def _since(bars: np.ndarray, columns: Columns) -> np.ndarray:
    """MyTT counts from the first bar where the condition has not held yet: nothing, here."""
    return np.where(np.cumsum(columns["close"] > columns["open"]) > 0, bars, np.nan)


def _streak(holds: np.ndarray) -> np.ndarray:
    """By its definition: MyTT's never begins again."""
    count, found = 0, []
    for each in holds:
        count = count + 1 if each else 0
        found.append(float(count))
    return np.array(found)


@pytest.fixture(autouse=True, scope="module")
def _unrounded() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("MyTT.MyTT.RD", lambda values, *_: values)
        yield


def _turned(bands: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    upper, middle, lower = bands
    return middle, upper, lower


def _several(found: object) -> list[object]:
    return list(found) if isinstance(found, tuple) else [found]


def _by_code(bars: pl.DataFrame, formula: Callable[[Columns], object]) -> list[np.ndarray]:
    """The formula of each code's bars alone, one code after the other."""
    parts = []
    for _, own in bars.group_by("ts_code", maintain_order=True):
        with np.errstate(all="ignore"):
            found = _several(formula({name: own[name].to_numpy() for name in ("open", "high", "low", "close", "vol")}))
        parts.append([np.where(np.isfinite(each), each, np.nan) for each in found])  # type: ignore[call-overload]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def _std(values: np.ndarray, window: int) -> np.ndarray:
    """By its definition: pandas's own is off by 1e-7 where a price hardly moves."""
    found = np.full(values.size, np.nan)
    if values.size >= window:
        found[window - 1 :] = np.lib.stride_tricks.sliding_window_view(values, window).std(axis=1)
    return found


def _bands(values: np.ndarray) -> tuple[np.ndarray, ...]:
    middle, spread = mytt.MA(values, 20), 2 * _std(values, 20)
    return middle, middle + spread, middle - spread


EXACT: dict[str, Callable[[Columns], object]] = {
    "std": lambda b: _std(b["close"], 9),
    "boll": lambda b: _bands(b["close"]),
}


def _agree(bars: pl.DataFrame, name: str, exact: Mapping[str, Callable[[Columns], object]] | None = None) -> None:
    expressions, formula = CASES[name]
    formula = (exact or {}).get(name, formula)
    with np.errstate(all="ignore"):
        expected = _by_code(bars, formula)
    for ours, theirs in zip(_several(expressions()), expected, strict=True):
        found = bars.select(ours.alias("it"))["it"]  # type: ignore[attr-defined]
        assert found.is_nan().sum() == 0, "what there is not is null"
        np.testing.assert_allclose(found.to_numpy(), theirs, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.fixture(params=["interpreted", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    few = 10**9 if request.param == "interpreted" else 0
    monkeypatch.setattr(running, "_FEW", few)
    monkeypatch.setattr(running, "_FEW_AT_HAND", few)
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", CASES)
def test_as_mytt(name: str) -> None:
    _agree(walks(600, 3, 1, 250, 28, flat=0.0), name)


HOLED = {"kdj", "kdj 3", "kdj 8", "kdj 14", "cci", "wr", "dmi", "vr"}
"""Where MyTT divides by nothing its average forgets the bar in its own way, or everything after it is lost: see below."""


@given(markets)
@settings(max_examples=25)
@pytest.mark.parametrize("name", [name for name in CASES if name not in HOLED])
def test_as_mytt_over_any_bars_and_halts(name: str, bars: pl.DataFrame) -> None:
    _agree(bars, name, EXACT)


def test_without_a_range_wr_and_cci_are_none_and_a_vr_without_a_fall_too() -> None:
    still = walks(40, flat=1.0).with_columns(open=pl.lit(5.0), high=pl.lit(5.0), low=pl.lit(5.0), close=pl.lit(5.0))
    shown = still.select(wr=wr(), cci=cci(), pdi=dmi()[0], adx=dmi()[2], rsi=rsi(), k=kdj()[0])
    assert shown.null_count().row(0) == (40,) * 6
    rising = walks(40).with_columns(close=pl.int_range(1, 41).cast(pl.Float64))
    assert rising.select(vr=vr(5)[0].is_null())["vr"].all(), "but for the first bar, of which nobody knows"


TALIB: dict[str, tuple[Callable[[], object], Callable[[Columns], object]]] = {
    "MA": (lambda: ma(20), lambda b: talib.SMA(b["close"], 20)),
    "BOLL": (boll, lambda b: _turned(talib.BBANDS(b["close"], 20, 2, 2))),
    "CCI": (cci, lambda b: talib.CCI(b["high"], b["low"], b["close"], 14)),
    "ROC": (lambda: roc(12)[0], lambda b: talib.ROC(b["close"], 12)),
    "HHV": (lambda: highest(20), lambda b: talib.MAX(b["high"], 20)),
    "WR": (lambda: wr(10), lambda b: -talib.WILLR(b["high"], b["low"], b["close"], 10)),
}


@pytest.mark.parametrize("name", TALIB)
def test_as_talib_where_it_means_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CASES, name, TALIB[name])
    _agree(walks(400, 300, flat=0.0), name)


def test_sar_is_talib_s_once_both_have_turned_together() -> None:
    """TA-Lib begins on the second bar; from a turn of both at one bar on, they are the same for ever."""
    bars = walks(800, flat=0.0)
    ours = bars.select(sar=sar())["sar"].to_numpy()
    theirs = talib.SAR(bars["high"].to_numpy(), bars["low"].to_numpy(), 0.02, 0.2)
    same = np.isclose(ours, theirs, rtol=1e-9)
    assert same[300:].all()
    assert np.isnan(ours[:3]).all()
    assert not np.isnan(ours[3:]).any()


def test_rps_is_the_rank_in_per_cent_among_the_session_s_codes() -> None:
    bars = walks(90, 60, 90, 20, halted=0.0)
    change = bars.with_columns(change=(pl.col("close") / pl.col("close").shift(30) - 1).over("ts_code")).to_pandas()
    expected = change.groupby("trade_date")["change"].rank(pct=True) * 100
    found = bars.select(rps=rps(30))["rps"].to_numpy()
    np.testing.assert_allclose(found, expected.to_numpy(), equal_nan=True)


def test_volume_ratio_is_against_the_five_bars_before() -> None:
    bars = walks(7).with_columns(vol=pl.Series([1.0, 2, 3, 4, 5, 9, 10]))
    assert bars.select(ratio=volume_ratio())["ratio"].to_list() == [None] * 5 + [3.0, pytest.approx(10 / 4.6)]


@given(markets)
@settings(max_examples=15)
def test_names_give_what_the_expressions_give(bars: pl.DataFrame) -> None:
    names = "MA5 EMA12 MACD RSI14 KDJ BOLL ATR14 OBV CCI14 WR10 DMI BIAS6 TRIX ROC PSY VR BBI SAR VOLRATIO5 HHV20 LLV20 RPS10"
    table = add(bars, names)
    expected = {
        **dict(zip(("dif", "dea", "macd"), macd(), strict=True)),
        **dict(zip("kdj", kdj(), strict=True)),
        **dict(zip(("boll_mid", "boll_up", "boll_low"), boll(), strict=True)),
        **dict(zip(("pdi", "mdi", "adx", "adxr"), dmi(), strict=True)),
        **dict(zip(("trix", "matrix"), trix(), strict=True)),
        **dict(zip(("roc", "maroc"), roc(), strict=True)),
        **dict(zip(("psy", "psyma"), psy(), strict=True)),
        **dict(zip(("vr", "mavr"), vr(), strict=True)),
        "ma5": ma(5),
        "ema12": ema(12),
        "rsi14": rsi(14),
        "atr14": atr(14),
        "obv": obv(),
        "cci14": cci(),
        "wr10": wr(),
        "bias6": bias(),
        "bbi": bbi(),
        "sar": sar(),
        "volume_ratio5": volume_ratio(),
        "hhv20": highest(20),
        "llv20": lowest(20),
        "rps10": rps(10),
    }
    assert set(table.columns) == {*bars.columns, *expected}
    assert table.select(bars.columns).equals(bars)
    assert table.select(*expected).equals(bars.select(**expected))
