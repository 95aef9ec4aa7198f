"""How kernels are run: the same numbers interpreted and compiled, a code's bars alone, nulls in and out, memory used again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_pipeline.strategies.indicators import IndicatorError, add, crosses, ema, ma, running, std
from quant_pipeline.strategies.indicators.running import Buffers
from quant_pipeline_tests.strategies.indicators.market import walks

NAMES = "MA5 MA20 MACD RSI14 BOLL KDJ DMI VR"


def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_FEW", 0)
    monkeypatch.setattr(running, "_FEW_AT_HAND", 0)


def test_compiled_and_interpreted_loops_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = walks(300, 1, 40, 700, seed=5)
    plain = add(bars, NAMES)
    _compiled(monkeypatch)
    monkeypatch.setattr(running, "_BLOCK", 301)  # codes fall into several blocks
    found = add(bars, NAMES)
    assert plain.select(pl.all().is_null()).equals(found.select(pl.all().is_null()))
    for name in found.columns[7:]:
        assert (plain[name] - found[name]).abs().max() < 1e-9, name


@pytest.mark.parametrize("way", ["interpreted", "compiled"])
def test_a_null_in_the_middle_is_none_until_it_has_left_the_window(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "compiled":
        _compiled(monkeypatch)
    bars = walks(12).with_columns(x=pl.Series([1.0, 2, 3, None, 5, 6, 7, 8, float("nan"), 10, 11, 12]))
    shown = bars.select(ma=ma(3, "x"), ema=ema(3, "x"))
    assert shown["ma"].to_list() == [None, None, 2.0, None, None, None, 6.0, 7.0, None, None, None, 11.0]
    assert shown["ema"].is_null().arg_true().to_list() == [3, 8]
    assert shown["ema"][4] == (shown["ema"][2] + 5) / 2, "a recursion stays as it was"


@pytest.mark.parametrize("window", [2, 20, 60])
def test_deviations_that_run_along_are_those_of_each_window_after_jumps_standstills_and_gaps(window: int) -> None:
    """Sums that were large a moment ago leave their rounding behind: they are counted anew."""
    random = np.random.default_rng(window)
    x = 10 * np.exp(np.cumsum(random.normal(0, 0.02, 900)))
    x[100:103] *= 1e5
    x[300:420] = x[300]
    x[600] = np.nan
    found = walks(900).with_columns(x=pl.Series(x)).select(std=std(window, "x"))["std"].to_numpy()
    expected = np.full(x.size, np.nan)
    expected[window - 1 :] = np.lib.stride_tricks.sliding_window_view(x.astype(np.longdouble), window).std(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    assert (found[300 + window : 420] == 0).all(), "a price that stands still has none at all"


def test_buffers_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _compiled(monkeypatch)
    buffers = Buffers()
    long, short = walks(200, 300), walks(60, seed=9)
    first = add(long, "MA5 RSI14", buffers=buffers)["ma5"].to_list()
    again = add(short, "MA5 RSI14", buffers=buffers)
    assert again.equals(add(short, "MA5 RSI14"))
    assert add(long, "MA5 RSI14", buffers=buffers)["ma5"].to_list() == first


def test_no_bars_and_one_bar_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        assert add(walks(5).clear(), NAMES).height == 0
        one = add(walks(1), NAMES)
        assert (one["dif"][0], one["ma5"][0], one["k"][0]) == (0.0, None, None)
        _compiled(monkeypatch)


def test_numbers_of_other_types_are_taken() -> None:
    bars = walks(9).with_columns(pl.col("close").cast(pl.Float32), vol=pl.col("vol").cast(pl.Int64))
    assert bars.select(ma(5, "vol").alias("it"))["it"][4] == pytest.approx(bars["vol"].head(5).mean())
    assert add(bars, "MA5")["ma5"].dtype == pl.Float64


def test_a_cross_is_above_now_and_not_before() -> None:
    bars = walks(6).with_columns(x=pl.Series([1.0, 2.0, 3.0, 3.0, 2.0, 4.0]), y=pl.lit(2.0))
    assert bars.select(it=crosses(pl.col("x"), pl.col("y")))["it"].to_list() == [False, False, True, False, False, True]
    assert bars.select(it=crosses(pl.col("x"), 3.0))["it"].to_list() == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("MA5 MAC", "'MAC' is no indicator; there are MA EMA MACD"),
        ("MACD(12,26,9,1)", r"'MACD\(12,26,9,1\)': it is MACD\(12,26,9\)"),
        ("MA0", "'MA0': it is MA"),
        ("RSI(2.5)", r"'RSI\(2.5\)': it is RSI\(14\)"),
        ("MA(1.2.3)", "it is MA"),
        ("MA5(5)", "'MA5\\(5\\)' has its window twice"),
        ("BOLL(2.5,2)", "it is BOLL"),
        ("VR", "the bars lack vol"),
        ("ATR14", "the bars lack high, low"),
    ],
)
def test_what_is_no_indicator_is_said(names: str, sentence: str) -> None:
    bars = walks(5).drop("vol") if names == "VR" else walks(5).select("ts_code", "trade_date", "close")
    with pytest.raises(IndicatorError, match=sentence):
        add(bars, names)


def test_parameters_that_are_not_the_usual_ones_stand_in_the_columns_names() -> None:
    added = add(walks(30), "MACD(5,10,4) BOLL(20,2.5) MACD KDJ(9,3,3) MA(10)").columns[7:]
    assert added == [
        *("dif_5_10_4", "dea_5_10_4", "macd_5_10_4", "boll_mid_20_2.5", "boll_up_20_2.5", "boll_low_20_2.5"),
        *("dif", "dea", "macd", "k", "d", "j", "ma10"),
    ]


PROGRAM = """
import sys
import quant_pipeline.definitions
from quant_pipeline.strategies.indicators import add, running
from quant_pipeline_tests.strategies.indicators.market import walks
add(walks(300), "MA5 MACD")
assert "numba" not in sys.modules, "numba is loaded before there is work for it"
running._FEW = running._FEW_AT_HAND = 0
add(walks(300), "MA5")
"""


def test_numba_is_loaded_for_large_frames_alone_and_keeps_what_it_compiled(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "QUANT_HOME": str(tmp_path / "q"), "XDG_CACHE_HOME": ""}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, cwd=Path(__file__).parents[3], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    kept = {path.name.partition("-")[0] for path in tmp_path.rglob("*.nbi")}
    assert kept == {"kernels.ma", "kernels.mark_none"}
