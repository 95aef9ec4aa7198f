"""Crosses and bands against their definitions in pandas: when each buys, and when it sells."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from quant_pipeline.strategies.registry import BUILT_IN
from quant_pipeline_tests.strategies.shared import market

PANEL = market(codes=8, sessions=420, seed=5)
KINDS = {strategy.name: strategy for strategy in BUILT_IN}
Marks = tuple[pd.Series, pd.Series]


def _smoothed(values: pd.Series, alpha: float) -> pd.Series:
    return values.ewm(alpha=alpha, adjust=False).mean()


def _above(line: pd.Series, other: pd.Series | float) -> pd.Series:
    """CROSS(line, other)."""
    gap = (line - other).round(9)
    return (gap > 0) & (gap.shift(1) <= 0)


def macd(bars: pd.DataFrame) -> Marks:
    dif = _smoothed(bars["close"], 2 / 13) - _smoothed(bars["close"], 2 / 27)
    dea = _smoothed(dif, 2 / 10)
    return _above(dif, dea), _above(dea, dif)


def rsi(bars: pd.DataFrame) -> Marks:
    moves = bars["close"].diff()
    line = _smoothed(moves.clip(lower=0), 1 / 6) / _smoothed(moves.abs(), 1 / 6) * 100
    return _above(line, 20), _above(-line, -80)


def kdj(bars: pd.DataFrame) -> Marks:
    low, high = bars["low"].rolling(9).min(), bars["high"].rolling(9).max()
    k = _smoothed((bars["close"] - low) / (high - low) * 100, 1 / 3)
    d = _smoothed(k, 1 / 3)
    return _above(k, d) & (d < 30), _above(d, k) & (d > 70)


def _bands(close: pd.Series) -> tuple[pd.Series, pd.Series, pd.Series]:
    middle, spread = close.rolling(20).mean(), 2 * close.rolling(20).std(ddof=0)
    return middle - spread, middle, middle + spread


def boll_breakout(bars: pd.DataFrame) -> Marks:
    _, middle, upper = _bands(bars["close"])
    return _above(bars["close"], upper), _above(middle, bars["close"])


def boll_reversion(bars: pd.DataFrame) -> Marks:
    lower, _, upper = _bands(bars["close"])
    return _above(lower, bars["close"]), _above(bars["close"], upper)


def turtle_long(bars: pd.DataFrame) -> Marks:
    upper, lower = bars["high"].rolling(55).max().shift(1), bars["low"].rolling(20).min().shift(1)
    return _above(bars["close"], upper), _above(lower, bars["close"])


RULES: dict[str, Callable[[pd.DataFrame], Marks]] = {
    rule.__name__: rule for rule in (macd, rsi, kdj, boll_breakout, boll_reversion, turtle_long)
}


@pytest.mark.parametrize("name", RULES)
def test_it_buys_and_sells_by_its_definition(name: str) -> None:
    judged = KINDS[name]().judged(PANEL)
    met = [0, 0]
    for code in PANEL["ts_code"].unique().sort():
        own = judged.filter(ts_code=code)
        marks = RULES[name](PANEL.filter(ts_code=code).to_pandas())
        for place, (column, expected) in enumerate(zip(("buy", "sell"), marks, strict=True)):
            assert own[column].to_list() == expected.tolist(), (code, column)
            met[place] += int(expected.sum())
    assert min(met) > 0


def test_macd_may_ask_where_dif_stands() -> None:
    kind = KINDS["macd"]
    any_, above, below = (kind.with_parameters({"zero": where}).judged(PANEL) for where in ("any", "above", "below"))
    assert (above["buy"] | below["buy"]).equals(any_["buy"])
    assert above.filter("buy")["dif"].min() > 0  # type: ignore[operator]
    assert below.filter("buy")["dif"].max() < 0  # type: ignore[operator]
