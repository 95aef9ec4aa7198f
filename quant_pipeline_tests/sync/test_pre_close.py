"""A bar without its previous close gets it from the stored bars and factors, or keeps its null."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.pre_close import with_pre_close
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.upsert import upsert
from quant_pipeline_tests.warehouse.bars import daily_bars

DAYS = [dt.date(2026, 11, day) for day in (17, 18, 19)]


def _stored(database: Database, factors: list[float]) -> str:
    """A bar of the first day, and the factors of all; the code."""
    bar = daily_bars(1, 1).with_columns(trade_date=pl.lit(DAYS[0]), close=pl.lit(20.0), high=pl.lit(99.0))
    code = str(bar["ts_code"][0])
    known = pl.DataFrame({"ts_code": [code] * len(factors), "trade_date": DAYS[: len(factors)], "adj_factor": factors})
    with database.connect() as connection:
        upsert(connection, DAILY_KLINE, bar, source="tushare")
        upsert(connection, ADJ_FACTOR, known, source="tushare")
    return code


def _answer(code: str) -> pl.DataFrame:
    names = {"ts_code": [code] * 2, "trade_date": DAYS[1:], "close": [10.5, 11.0]}
    nothing = {name: [None, None] for name in ("pre_close", "change", "pct_chg")}
    return pl.DataFrame({**names, **nothing}, schema_overrides=dict.fromkeys(nothing, pl.Float64))


def test_over_an_ex_date_it_is_the_ex_rights_price(warehouse: Database) -> None:
    code = _stored(warehouse, [1.0, 2.0, 2.0])
    filled = with_pre_close(warehouse, Unit.code(code, DAYS[1], DAYS[2]), _answer(code))
    assert filled["pre_close"].to_list() == [10.0, 10.5]
    assert filled["change"].to_list() == [0.5, 0.5]
    assert filled["pct_chg"].to_list() == pytest.approx([5.0, 4.7619])


def test_without_a_factor_nothing_is_guessed(warehouse: Database) -> None:
    code = _stored(warehouse, [1.0, 1.0])
    filled = with_pre_close(warehouse, Unit.code(code, DAYS[1], DAYS[2]), _answer(code))
    assert filled["pre_close"].to_list() == [20.0, None]
    assert filled["pct_chg"].to_list()[1] is None


def test_of_two_earlier_bars_the_later_one_counts_and_neither_of_later_days_nor_of_other_codes(warehouse: Database) -> None:
    days = [dt.date(2026, 11, day) for day in (16, 17, 18, 19, 20)]
    earlier = daily_bars(2, 5)
    code, other = earlier["ts_code"].unique().sort().to_list()
    of_day = {dt.date(2026, 11, 16): 18.0, dt.date(2026, 11, 17): 20.0, dt.date(2026, 11, 20): 30.0}
    one = (
        earlier.filter(pl.col("ts_code") == code)
        .head(3)
        .with_columns(trade_date=pl.Series(list(of_day)), close=pl.Series(list(of_day.values())), high=pl.lit(99.0))
    )
    stranger = one.with_columns(ts_code=pl.lit(other), trade_date=pl.lit(dt.date(2026, 11, 17)), close=pl.lit(50.0)).head(1)
    factors = pl.DataFrame({"ts_code": [code] * 5, "trade_date": days, "adj_factor": [1.0, 1.0, 2.0, 2.0, 4.0]})
    with warehouse.connect() as connection:
        upsert(connection, DAILY_KLINE, pl.concat([one, stranger]), source="tushare")
        upsert(connection, ADJ_FACTOR, factors, source="tushare")
    filled = with_pre_close(warehouse, Unit.code(code, DAYS[1], DAYS[2]), _answer(code))
    assert filled["pre_close"].to_list() == [10.0, 10.5]
