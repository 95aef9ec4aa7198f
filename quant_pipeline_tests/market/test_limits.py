"""Price limits against the rules as a person computes them: in decimals, board by board, day by day."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

import numpy as np
import polars as pl
import pytest

from quant_pipeline.market.limits import Limits, limits_of, price_limits
from quant_pipeline.sandbox import boards

DAY = dt.date(2025, 12, 1)
NONE = Limits(None, None)
PRICES = range(1, 20_001)
HALF_UP = (ROUND_HALF_UP, ROUND_HALF_UP)


def _by_rule(ts_code: str, tick: float, *, st: bool = False) -> list[Limits]:
    """The limits after a close of 1, 2, 3 … ticks."""
    rows = pl.DataFrame({"price": PRICES}).select(
        ts_code=pl.lit(ts_code), trade_date=pl.lit(DAY), pre_close=pl.col("price") * tick
    )
    down, up = limits_of(st=pl.lit(st), listed=pl.lit(None, pl.Date), nth=pl.lit(None, pl.Int64))
    return [Limits(*row) for row in rows.select(down=down, up=up).iter_rows()]


@pytest.mark.parametrize(
    ("ts_code", "is_st", "rate", "rounding", "tick"),
    [
        ("600000.SH", False, "0.1", HALF_UP, "0.01"),
        ("000001.SZ", True, "0.05", HALF_UP, "0.01"),
        ("300750.SZ", False, "0.2", HALF_UP, "0.01"),
        ("688981.SH", True, "0.2", HALF_UP, "0.01"),
        ("920001.BJ", False, "0.3", (ROUND_CEILING, ROUND_FLOOR), "0.01"),
        ("200002.SZ", False, "0.1", HALF_UP, "0.01"),
        ("900901.SH", False, "0.1", HALF_UP, "0.001"),
        ("113050.SH", False, "0.2", HALF_UP, "0.001"),
    ],
)
def test_every_price_is_rounded_as_by_hand(ts_code: str, is_st: bool, rate: str, rounding: tuple[str, str], tick: str) -> None:
    steps = zip((1 - Decimal(rate), 1 + Decimal(rate)), rounding, strict=True)
    down, up = (
        [float((price * Decimal(tick) * factor).quantize(Decimal(tick), way)) for price in PRICES] for factor, way in steps
    )
    assert _by_rule(ts_code, float(tick), st=is_st) == list(zip(down, up, strict=True))


@pytest.mark.parametrize(
    ("ts_code", "regime"),
    [
        ("600000.SH", boards.Regime.TEN),
        ("300750.SZ", boards.Regime.TWENTY),
        ("920001.BJ", boards.Regime.THIRTY),
    ],
)
def test_the_sandbox_which_was_written_apart_says_the_same(ts_code: str, regime: boards.Regime) -> None:
    regimes = np.full(len(PRICES), regime, dtype=np.int8)
    on_bse = np.full(len(PRICES), ts_code.endswith("BJ"))
    down, up = boards.limit_prices(np.array(PRICES, dtype=np.float64), regimes, on_bse)
    assert _by_rule(ts_code, 0.01) == list(zip(down / 100, up / 100, strict=True))


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
        ("300860.SZ", dt.date(2020, 8, 20), [(6.4, 14.4), (9.0, 11.0)]),
        ("001388.SZ", dt.date(2023, 4, 10), [NONE] * 5 + [(9.0, 11.0)]),
        ("603125.SH", dt.date(2023, 4, 7), [(6.4, 14.4)] + [(9.0, 11.0)] * 5),
        ("601000.SH", dt.date(2010, 7, 6), [NONE, (9.0, 11.0)]),
        ("920001.BJ", dt.date(2024, 5, 6), [NONE, (7.0, 13.0)]),
        ("113050.SH", dt.date(2023, 5, 8), [NONE, (8.0, 12.0)]),
    ],
)
def test_the_first_sessions_of_a_listing(
    ts_code: str, listed: dt.date, limits: list[tuple[float | None, float | None]]
) -> None:
    told = [price_limits(ts_code, listed + dt.timedelta(days=n), 10.0, listed=listed, nth=n + 1) for n in range(len(limits))]
    assert told == limits
