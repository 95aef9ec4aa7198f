"""Indicators against numbers computed by hand, by 通达信's formulas."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest

from quant_pipeline.strategies.indicators import kdj, ma, macd


def _bars(code: str, rows: Sequence[tuple[float, float, float]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["high", "low", "close"], orient="row").with_columns(ts_code=pl.lit(code))


def _columns(bars: pl.DataFrame, names: str, expressions: tuple[pl.Expr, ...]) -> list[list[float]]:
    shown = bars.select(each.alias(name) for name, each in zip(names.split(), expressions, strict=True))
    return [shown[name].to_list() for name in shown.columns]


def test_macd() -> None:
    """EMA(12) of 10, 11, 13: 10, 10.153846, 10.591716; EMA(26): 10, 10.074074, 10.290809; DEA is EMA(9) of their difference."""
    dif, dea, histogram = _columns(_bars("a", [(0, 0, close) for close in (10, 11, 13)]), "dif dea macd", macd())
    assert dif == pytest.approx([0, 0.079772, 0.300906], abs=1e-6)
    assert dea == pytest.approx([0, 0.015954, 0.072945], abs=1e-6)
    assert histogram == pytest.approx([0, 0.127635, 0.455924], abs=1e-6)


def test_kdj() -> None:
    """RSV 50 in the ninth bar, 100 (12 of 8 to 12), 25 (9 of 8 to 12): K = 2/3 K' + 1/3 RSV, D the same of K, J = 3K - 2D."""
    bars = _bars("a", [*[(10, 8, 9)] * 9, (12, 9, 12), (11, 9, 9)])
    columns = _columns(bars, "k d j", kdj())
    assert all(column[:8] == [None] * 8 for column in columns)
    k, d, j = (column[8:] for column in columns)
    assert k == pytest.approx([50, 66.666667, 52.777778], abs=1e-6)
    assert d == pytest.approx([50, 55.555556, 54.629630], abs=1e-6)
    assert j == pytest.approx([50, 88.888889, 49.074074], abs=1e-6)


def test_kdj_looks_at_nine_bars() -> None:
    """The low of 1 is the tenth bar back for the last one, so that 20 is the lowest: RSV = (25 - 20) / (30 - 20)."""
    bars = _bars("a", [(30, 1, 25), *[(30, 20, 25)] * 9])
    (_, *_, before, last), *_ = _columns(bars, "k d j", kdj())
    assert last == pytest.approx(before * 2 / 3 + 50 / 3)


def test_k_and_d_stay_where_the_price_does() -> None:
    """A limit-up opening that is one price has no range of its own: after nine such bars K and D are as before."""
    bars = _bars("a", [*[(12, 8, 12)] * 9, *[(9, 9, 9)] * 12])
    k, d, j = _columns(bars, "k d j", kdj())
    assert (k[8], d[8]) == (100, 100)
    assert (k[-1], d[-1], j[-1]) == (k[-2], d[-2], j[-2]) == (k[16], d[16], j[16])
    assert k[16] != k[15]


def test_codes_do_not_mix() -> None:
    rows = [(10.0 + n, 8.0 + n, 9.0 + n * n) for n in range(30)]
    other = [(100.0 - n, 80.0 - n, 90.0 - n) for n in range(30)]
    both = pl.concat([_bars("a", rows), _bars("b", other)])
    names, expressions = "ma dif dea macd k d j", (ma(5), *macd(), *kdj())
    together = _columns(both, names, expressions)
    assert [each[:30] for each in together] == _columns(_bars("a", rows), names, expressions)
    assert [each[30:] for each in together] == _columns(_bars("b", other), names, expressions)
