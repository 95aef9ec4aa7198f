"""The panel of a backtest is the one that all strategies share."""

from __future__ import annotations

import datetime as dt

import polars as pl
from polars.testing import assert_frame_equal, assert_series_equal

from quant_pipeline.backtest.market_data import factors_of, market_of, steps_of
from quant_pipeline.backtest.panel import Read, panel_of
from quant_pipeline.market.stretches import ByCode
from quant_pipeline.strategies.panel import assembled
from quant_pipeline_tests.backtest.world import A, B, days


def test_it_is_what_is_assembled_for_screens() -> None:
    sessions = days(4)
    keys = [(code, day) for code in (B, A) for day in sessions]
    keys.pop(2)
    bars = pl.DataFrame(keys, schema={"ts_code": pl.String, "trade_date": pl.Date}, orient="row").with_columns(
        open=pl.int_range(pl.len()) + 10.0, high=pl.int_range(pl.len()) + 12.0, low=pl.int_range(pl.len()) + 9.0,
        close=pl.int_range(pl.len()) + 11.0, pre_close=pl.int_range(pl.len()) + 10.5, vol=100.0, amount=110.0,
    )  # fmt: skip
    factors = bars.select("ts_code", "trade_date", adj_factor=pl.int_range(pl.len()) / 10 + 1.0)
    up = pl.when(pl.int_range(pl.len()) == 1).then(99_999.99).otherwise(pl.col("pre_close") * 1.1).round(2)
    limits = bars.select("ts_code", "trade_date", up_limit=up, down_limit=(pl.col("pre_close") * 0.9).round(2)).head(6)
    names = pl.DataFrame({"ts_code": [B, A], "industry": ["银行", "券商"]})
    wanted = bars.with_columns(pct_chg=(pl.col("close") / pl.col("pre_close") - 1) * 100).drop("amount")
    rows = {"daily_kline": wanted, "adj_factor": factors, "price_limits": limits}
    tables, lists = {name: ByCode.of(frame) for name, frame in rows.items()}, {"stock_list": names}
    needs = {
        "daily_kline": [name for name in wanted.columns if name not in ("ts_code", "trade_date")],
        "price_limits": ["up_limit", "down_limit"],
        "stock_list": ["industry"],
    }
    read = Read(ByCode.of(bars), ByCode.of(factors), [ByCode.of(limits)])
    market = market_of(read.bars, sessions, read.limits[0])
    expected = assembled(tables, lists).frame()
    factor = factors_of(market, read.factors)
    found = panel_of(market, read, factor, needs, {"stock_list": names})
    assert_frame_equal(found.select(expected.columns), expected)
    assert found["up_limit"].null_count() == 2  # without limit, and unknown
    beyond = panel_of(market, read, factor, needs, {"stock_list": names, "daily_kline": wanted})  # read besides
    assert_frame_equal(beyond.select(expected.columns), expected)
    lacking = bars.select("ts_code", "trade_date", adj_factor=pl.when(pl.int_range(pl.len()) != 0).then(1.0)).drop_nulls()
    read = Read(read.bars, ByCode.of(lacking), read.limits)
    found = panel_of(market, read, factors_of(market, read.factors), needs, {"stock_list": names})
    assert_frame_equal(found.select(expected.columns), assembled({**tables, "adj_factor": read.factors}, lists).frame())


def test_a_session_without_a_factor_has_the_one_before_so_that_no_step_is_lost() -> None:
    """The factor of B changes on the fourth day; those of days before are missing, but for one of before the first bar."""
    sessions = days(5)
    keys = [(code, day) for code in (A, B) for day in sessions]
    bars = pl.DataFrame(keys, schema={"ts_code": pl.String, "trade_date": pl.Date}, orient="row").with_columns(
        open=10.0, close=10.0, pre_close=None, vol=100.0
    )
    told = [(B, sessions[0] - dt.timedelta(days=1), 1.0), (B, sessions[3], 2.0), (B, sessions[4], 2.0)]
    schema = {"ts_code": pl.String, "trade_date": pl.Date, "adj_factor": pl.Float64}
    market = market_of(ByCode.sorted(bars), sessions)
    factor = factors_of(market, ByCode.of(pl.DataFrame(told, schema=schema, orient="row")))
    expected = {A: [float("nan")] * 5, B: [1.0, 1.0, 1.0, 2.0, 2.0]}
    assert_series_equal(pl.Series(factor), pl.Series([value for code in market.codes for value in expected[code]]))
    steps = steps_of(market, factor)
    assert [(market.codes[code], market.sessions[day]) for code, day in zip(steps.code, steps.session, strict=True)] == [
        (B, sessions[3])
    ]
