"""The screens of InStock, Sequoia and Sequoia-X against their definitions, written out bar by bar as their authors have them,
with what was wrong in them mended; and timing rules against the plain loop."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pytest

from quant_pipeline.strategies.registry import BUILT_IN
from quant_pipeline_tests.strategies.shared import market

PANEL = market(codes=12, sessions=420, seed=11)
OWN = {code: PANEL.filter(ts_code=code).to_pandas() for code in PANEL["ts_code"].unique().sort()}
KINDS = {strategy.name: strategy for strategy in BUILT_IN}
Rule = Callable[[pd.DataFrame], bool]
"""Whether the last of these bars of one code is a hit."""


def _up(bars: pd.DataFrame) -> pd.Series:
    return bars["close"] >= bars["up_limit"]


def _down(bars: pd.DataFrame) -> pd.Series:
    return bars["close"] <= bars["down_limit"]


def _mean(bars: pd.DataFrame, window: int, column: str = "close") -> pd.Series:
    return bars[column].rolling(window).mean()


def volume_up(bars: pd.DataFrame) -> bool:
    if len(bars) < 61:
        return False
    last, usual = bars.iloc[-1], bars["vol"].iloc[-6:-1].mean()
    rising = last["pct_chg"] >= 2 and last["close"] >= last["open"]
    return bool(rising and last["amount"] * 1000 >= 200_000_000 and last["vol"] / usual >= 2)


def rising_average(bars: pd.DataFrame) -> bool:
    mean = _mean(bars, 30).to_numpy()
    if len(mean) < 30 or np.isnan(mean[-30]):
        return False
    first, second, third, last = mean[-30], mean[-20], mean[-10], mean[-1]
    return bool(first < second < third < last and last > 1.2 * first)


def parking_apron(bars: pd.DataFrame) -> bool:
    for at in range(max(len(bars) - 15, 14), len(bars) - 3):
        start = bars.iloc[at]
        if not (_up(bars).iloc[at] and start["close"] >= bars["close"].iloc[at - 14 : at + 1].max()):
            continue
        after = bars.iloc[at + 1 : at + 4]
        above = ((after["open"] > start["close"]) & (after["close"] > start["close"])).all()
        still = (after["close"] / after["open"]).between(0.97, 1.03, inclusive="neither").all()
        if above and still and after["pct_chg"].iloc[1:].between(-5, 5, inclusive="neither").all():
            return True
    return False


def back_to_year_line(bars: pd.DataFrame) -> bool:
    window = bars.assign(mean=_mean(bars, 250)).tail(60).reset_index(drop=True)
    if len(window) < 60 or np.isnan(window["mean"][0]):
        return False
    top = int(window["close"].to_numpy().argmax())
    before, after = window.iloc[:top], window.iloc[top:]
    if before.empty or not (
        before["close"].iloc[0] < before["mean"].iloc[0] and before["close"].iloc[-1] > before["mean"].iloc[-1]
    ):
        return False
    if (after["close"] < after["mean"]).any():
        return False
    low = after.iloc[int(after["close"].to_numpy().argmin())]
    high = after.iloc[0]
    days = (low["trade_date"] - high["trade_date"]).days
    return bool(10 <= days <= 50 and high["vol"] / low["vol"] > 2 and low["close"] / high["close"] < 0.8)


def platform_breakout(bars: pd.DataFrame) -> bool:
    if len(bars) < 60:
        return False
    known = bars.assign(mean=_mean(bars, 60))
    broke = None
    for at in range(len(known) - 60, len(known)):
        row = known.iloc[at]
        if row["open"] < row["mean"] <= row["close"] and volume_up(bars.iloc[: at + 1]):
            broke = at
    if broke is None:
        return False
    before = known.iloc[len(known) - 60 : broke]
    return bool(((before["mean"] - before["close"]) / before["mean"]).between(-0.05, 0.2, inclusive="neither").all())


def steady_rise(bars: pd.DataFrame) -> bool:
    if len(bars) < 60:
        return False
    window = bars.tail(60)
    if window["close"].iloc[-1] / window["close"].iloc[0] - 1 < 0.6:
        return False
    change, before = window["pct_chg"], window["open"].shift(1)
    deep = (change < -7) | ((window["close"] - window["open"]) / window["open"] < -0.07)
    two = (change + change.shift(1) < -10) | ((window["close"] - before) / before < -0.1)
    return not (deep | two).any()


def new_high(bars: pd.DataFrame) -> bool:
    return len(bars) >= 60 and bool(bars["close"].iloc[-1] >= bars["close"].tail(60).max())


def high_narrow_flag(bars: pd.DataFrame) -> bool:
    if len(bars) < 24:
        return False
    pole = bars.tail(24).head(14)
    limits = _up(pole).to_numpy()
    return bool(pole["high"].iloc[-1] / pole["low"].min() >= 1.9 and (limits[1:] & limits[:-1]).any())


def limit_down_on_volume(bars: pd.DataFrame) -> bool:
    if len(bars) < 6 or not _down(bars).iloc[-1]:
        return False
    last = bars.iloc[-1]
    return bool(last["amount"] * 1000 >= 200_000_000 and last["vol"] / bars["vol"].iloc[-6:-1].mean() >= 4)


def low_atr_growth(bars: pd.DataFrame) -> bool:
    if len(bars) < 250:
        return False
    ten = bars.tail(10)
    way = (ten["close"].max() - ten["close"].min()) / ten["close"].min()
    return bool(ten["pct_chg"].abs().mean() <= 10 and way > 0.1)


def volume_cross(bars: pd.DataFrame) -> bool:
    fast, slow = _mean(bars, 5).to_numpy(), _mean(bars, 20).to_numpy()
    if len(bars) < 21:
        return False
    crossed = fast[-2] < slow[-2] and fast[-1] > slow[-1]
    return bool(crossed and bars["vol"].iloc[-1] > 1.5 * bars["vol"].tail(20).mean())


def breakout(bars: pd.DataFrame) -> bool:
    if len(bars) < 21:
        return False
    last = bars.iloc[-1]
    rising = last["close"] > last["open"] and last["close"] > bars["close"].iloc[-2]
    return bool(rising and last["close"] > bars["high"].iloc[-21:-1].max() and last["amount"] * 1000 > 100_000_000)


def high_tight_flag(bars: pd.DataFrame) -> bool:
    if len(bars) < 40:
        return False
    forty, ten = bars.tail(40), bars.tail(10)
    tight = ten["high"].max() / ten["low"].min() < 1.15 and ten["low"].min() >= 0.8 * forty["high"].max()
    steep = forty["high"].max() / forty["low"].min() > 1.6
    return bool(steep and tight and bars["vol"].iloc[-1] < 0.6 * bars["vol"].iloc[-21:-1].mean())


def limit_up_shakeout(bars: pd.DataFrame) -> bool:
    if len(bars) < 2 or not _up(bars).iloc[-2]:
        return False
    before, last = bars.iloc[-2], bars.iloc[-1]
    return bool(last["close"] < last["open"] and last["vol"] > 2 * before["vol"] and last["low"] >= before["close"])


def uptrend_limit_down(bars: pd.DataFrame) -> bool:
    if len(bars) < 61 or not _down(bars).iloc[-1]:
        return False
    rising = bars["close"].iloc[-21:-1].mean() > bars["close"].iloc[-61:-1].mean()
    return bool(rising and bars["vol"].iloc[-1] > 2 * bars["vol"].tail(20).mean())


def turtle(bars: pd.DataFrame) -> bool:
    if len(bars) < 22:
        return False
    now, then = bars["high"].iloc[-21:-1].max(), bars["high"].iloc[-22:-2].max()
    return bool(bars["close"].iloc[-1] > now and bars["close"].iloc[-2] <= then)


def dual_thrust(bars: pd.DataFrame) -> bool:
    if len(bars) < 5:
        return False
    four, last = bars.iloc[-5:-1], bars.iloc[-1]
    reach = max(four["high"].max() - four["close"].min(), four["close"].max() - four["low"].min())
    return bool(last["close"] > last["open"] + 0.5 * reach)


def limit_up_follow(bars: pd.DataFrame) -> bool:
    limits, last = _up(bars).to_numpy(), bars.iloc[-1]
    first = limits[-1] and not (len(limits) > 1 and limits[-2])
    return bool(first and last["low"] < last["up_limit"] and last["amount"] * 1000 >= 100_000_000)


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(volume_up, rising_average, parking_apron, back_to_year_line, platform_breakout, steady_rise, new_high),
        *(high_narrow_flag, limit_down_on_volume, low_atr_growth, volume_cross, breakout, high_tight_flag),
        *(limit_up_shakeout, uptrend_limit_down, turtle, dual_thrust, limit_up_follow),
    )
}


@pytest.mark.parametrize("name", RULES)
def test_hits_are_those_of_the_definition(name: str) -> None:
    judged = KINDS[name]().judged(PANEL)
    looked = 0
    for code, bars in OWN.items():
        marks = judged.filter(ts_code=code)["buy"].to_list()
        # Every hit, and every seventh bar: the plain rules are slow.
        places = [place for place, mark in enumerate(marks) if mark or place % 7 == 0]
        expected = [RULES[name](bars.iloc[: place + 1]) for place in places]
        assert [marks[place] for place in places] == expected, code
        looked += sum(expected)
    assert looked > 0 or name == "back_to_year_line"


def test_the_year_line_s_pattern_is_found_in_bars_that_have_it() -> None:
    """250 bars at 10, below them, through them to 15 on heavy volume, and back to 11.5 on thin volume."""
    closes = [10.0] * 250 + [9.5] * 3 + list(np.linspace(10.5, 15.0, 20)) + list(np.linspace(14.8, 11.5, 20)) + [11.6] * 20
    volume = [100.0] * 253 + [400.0] * 20 + [100.0] * 40
    days = pd.bdate_range("2024-01-02", periods=len(closes)).date
    bars = pd.DataFrame({"trade_date": days, "close": closes, "vol": volume, "ts_code": "600000.SH"})
    expected = [back_to_year_line(bars.iloc[: place + 1]) for place in range(len(bars))]
    assert any(expected)
    frame = pl.from_pandas(bars).with_columns(pl.col("trade_date").cast(pl.Date))
    assert KINDS["back_to_year_line"]().judged(frame)["buy"].to_list() == expected
    thin = pl.when(pl.col("vol") > 100).then(150.0).otherwise("vol").alias("vol")
    assert not KINDS["back_to_year_line"]().judged(frame.with_columns(thin))["buy"].any(), "the volume must have halved"


def test_limits_are_those_of_the_board_and_the_day() -> None:
    """10 % up is no limit-up day of a share that may rise 20 %, and 5 % is one where that is the limit."""
    day = [dt.date(2026, 11, 19), dt.date(2026, 11, 20)]
    rows = [("300001.SZ", 11.0, 12.0), ("300002.SZ", 12.0, 12.0), ("600001.SH", 10.5, 10.5), ("600002.SH", 11.0, None)]
    frame = pl.concat(
        pl.DataFrame(
            {
                "ts_code": [code] * 2,
                "trade_date": day,
                "open": [10.0, 10.2],
                "high": [10.0, close],
                "low": [10.0, 10.1],
                "close": [10.0, close],
                "vol": [1e6] * 2,
                "amount": [1e6] * 2,
                "up_limit": [99.0, limit],
            }
        )
        for code, close, limit in rows
    )
    hits = KINDS["limit_up_follow"]().screen(frame, day)
    assert hits["ts_code"].to_list() == ["300002.SZ", "600001.SH"]
