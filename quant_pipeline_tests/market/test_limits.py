"""Price limits against the rules as a person computes them: in decimals, board by board, day by day."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quant_pipeline.market.limits import Limits, price_limits
from quant_pipeline.sandbox import boards

DAY = dt.date(2025, 12, 1)
NONE = Limits(None, None)
cents = st.integers(1, 300_000)


def _by_hand(pre_close: Decimal, rate: str, rounding: tuple[str, str], tick: str = "0.01") -> Limits:
    down, up = (
        (pre_close * (1 + sign * Decimal(rate))).quantize(Decimal(tick), way)
        for sign, way in zip((-1, 1), rounding, strict=True)
    )
    return Limits(float(down), float(up))


@given(cents)
@example(1005)
@example(1115)
@example(435)
def test_shanghai_and_shenzhen_round_half_up(price: int) -> None:
    pre_close = Decimal(price) / 100
    half_up = (ROUND_HALF_UP, ROUND_HALF_UP)
    for code, rate in (("600000.SH", "0.1"), ("000001.SZ", "0.1"), ("300750.SZ", "0.2"), ("688981.SH", "0.2")):
        assert price_limits(code, DAY, float(pre_close)) == _by_hand(pre_close, rate, half_up)
    assert price_limits("600000.SH", DAY, float(pre_close), st=True) == _by_hand(pre_close, "0.05", half_up)


@given(cents)
def test_beijing_never_leaves_thirty_per_cent(price: int) -> None:
    pre_close = Decimal(price) / 100
    assert price_limits("920001.BJ", DAY, float(pre_close)) == _by_hand(pre_close, "0.3", (ROUND_CEILING, ROUND_FLOOR))


@given(st.integers(1, 300_000))
def test_bonds_and_shanghai_b_shares_have_finer_ticks(mills: int) -> None:
    pre_close = Decimal(mills) / 1000
    half_up = (ROUND_HALF_UP, ROUND_HALF_UP)
    assert price_limits("113050.SH", DAY, float(pre_close)) == _by_hand(pre_close, "0.2", half_up, "0.001")
    assert price_limits("900901.SH", DAY, float(pre_close)) == _by_hand(pre_close, "0.1", half_up, "0.001")


@given(st.lists(cents, min_size=1, max_size=20))
def test_the_sandbox_which_was_written_apart_says_the_same(prices: list[int]) -> None:
    pre_close = np.array(prices, dtype=np.float64)
    for code, regime in (
        ("600000.SH", boards.Regime.TEN),
        ("300750.SZ", boards.Regime.TWENTY),
        ("920001.BJ", boards.Regime.THIRTY),
    ):
        regimes, on_bse = np.full(len(prices), regime, dtype=np.int8), np.full(len(prices), code.endswith("BJ"))
        down, up = boards.limit_prices(pre_close, regimes, on_bse)
        ours = [price_limits(code, DAY, price / 100) for price in prices]
        assert [limits.down for limits in ours] == list(down / 100)
        assert [limits.up for limits in ours] == list(up / 100)


@pytest.mark.parametrize(
    ("ts_code", "session", "is_st", "limits"),
    [
        ("300001.SZ", dt.date(2020, 8, 21), False, (9.0, 11.0)),
        ("300001.SZ", dt.date(2020, 8, 24), False, (8.0, 12.0)),
        ("300001.SZ", dt.date(2020, 8, 21), True, (9.5, 10.5)),
        ("300001.SZ", dt.date(2020, 8, 24), True, (8.0, 12.0)),
        ("688001.SH", DAY, True, (8.0, 12.0)),
        ("000001.SZ", DAY, True, (9.5, 10.5)),
        ("200002.SZ", DAY, False, (9.0, 11.0)),
        ("830799.BJ", DAY, True, (7.0, 13.0)),
        ("600000.SH", dt.date(1996, 12, 13), False, NONE),
        ("600000.SH", dt.date(1996, 12, 16), False, (9.0, 11.0)),
        ("123107.SZ", dt.date(2022, 7, 29), False, NONE),
        ("123107.SZ", dt.date(2022, 8, 1), False, (8.0, 12.0)),
        ("510300.SH", DAY, False, NONE),
        ("999999.SH", DAY, False, NONE),
    ],
)
def test_the_rule_of_the_day(ts_code: str, session: dt.date, is_st: bool, limits: tuple[float | None, float | None]) -> None:
    assert price_limits(ts_code, session, 10.0, st=is_st) == limits


@pytest.mark.parametrize(
    ("ts_code", "listed", "limits"),
    [
        ("688001.SH", dt.date(2019, 7, 22), [NONE] * 5 + [(8.0, 12.0)]),
        ("301001.SZ", dt.date(2020, 8, 24), [NONE] * 5 + [(8.0, 12.0)]),
        ("300860.SZ", dt.date(2020, 8, 20), [(6.4, 14.4)] + [(9.0, 11.0)]),
        ("001388.SZ", dt.date(2023, 4, 10), [NONE] * 5 + [(9.0, 11.0)]),
        ("603125.SH", dt.date(2023, 4, 7), [(6.4, 14.4)] + [(9.0, 11.0)] * 5),
        ("601000.SH", dt.date(2010, 7, 6), [NONE] + [(9.0, 11.0)]),
        ("920001.BJ", dt.date(2024, 5, 6), [NONE] + [(7.0, 13.0)]),
        ("113050.SH", dt.date(2023, 5, 8), [NONE] + [(8.0, 12.0)]),
    ],
)
def test_the_first_sessions_of_a_listing(
    ts_code: str, listed: dt.date, limits: list[tuple[float | None, float | None]]
) -> None:
    told = [price_limits(ts_code, listed + dt.timedelta(days=n), 10.0, listed=listed, nth=n + 1) for n in range(len(limits))]
    assert told == limits
