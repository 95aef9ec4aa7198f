"""The comparison of stored rows with a second source's, value by value."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_BASIC, DAILY_KLINE, WEEKLY_KLINE
from quant_pipeline.market.reports import RECONCILIATION
from quant_pipeline.sync.comparison import AFTER_HOURS_SINCE, TOLERANCES, compare
from quant_pipeline.sync.reconcile import COMPARED
from quant_pipeline_tests.sync.stored import CALENDAR, CODES, LATEST, bars, sessions

DAYS = sessions(10)
CODE, BSE = CODES[7], "920001.BJ"


@pytest.fixture
def rows() -> pl.DataFrame:
    """640 bars: 64 codes over ten sessions, of Tushare."""
    return bars(CODES, DAYS).with_columns(source=pl.lit("tushare"))


def spoilt(rows: pl.DataFrame, field: str, by: pl.Expr, code: str = CODE, day: dt.date = LATEST) -> pl.DataFrame:
    here = (pl.col("ts_code") == code) & (pl.col("trade_date") == day)
    return rows.with_columns(pl.when(here).then(by).otherwise(field).alias(field))


def found(stored: pl.DataFrame, second: pl.DataFrame) -> list[tuple[object, ...]]:
    rows = compare(DAILY_KLINE, stored, second.drop("source"), "baostock").findings
    return rows.select("trade_date", "ts_code", "field").rows()


def test_what_is_equal_leaves_no_finding_and_every_value_is_compared(rows: pl.DataFrame) -> None:
    comparison = compare(DAILY_KLINE, rows, rows.drop("source"), "baostock")
    assert comparison.findings.is_empty()
    assert comparison.values.height == 640 * len(TOLERANCES["daily_kline"])
    assert comparison.codes == sorted(CODES)


def test_one_fen_in_one_close_of_one_day_is_named_among_thousands_of_values(rows: pl.DataFrame) -> None:
    wrong = spoilt(rows, "close", pl.col("close") + 0.01, day=DAYS[3])
    comparison = compare(DAILY_KLINE, wrong, rows.drop("source"), "baostock")
    (row,) = comparison.findings.iter_rows(named=True)
    assert (row["trade_date"], row["dataset"], row["ts_code"], row["field"]) == (DAYS[3], "daily_kline", CODE, "close")
    assert (row["stored_source"], row["second_source"]) == ("tushare", "baostock")
    assert row["stored"] - row["second"] == pytest.approx(row["difference"]) == pytest.approx(0.01)
    assert row["tolerated"] < 0.01
    assert comparison.findings.columns == list(RECONCILIATION.column_names)


def test_tenfold_volumes_of_one_day_are_named_code_by_code(rows: pl.DataFrame) -> None:
    tenfold = rows.with_columns(vol=pl.when(pl.col("trade_date") == DAYS[5]).then(pl.col("vol") * 10).otherwise("vol"))
    assert found(tenfold, rows) == [(DAYS[5], code, "vol") for code in sorted(CODES)]


BEFORE = CALENDAR.shift(CALENDAR.on_or_before(AFTER_HOURS_SINCE - dt.timedelta(days=1)), 0)


@pytest.mark.parametrize(
    ("field", "near", "far", "code", "day"),
    [
        *((name, pl.col(name) + 0.005, pl.col(name) + 0.01, CODE, LATEST) for name in ("open", "high", "low", "close")),
        ("pre_close", pl.col("pre_close") + 0.005, pl.col("pre_close") + 0.01, CODE, LATEST),
        ("pct_chg", pl.col("pct_chg") + 0.019, pl.col("pct_chg") + 0.03, CODE, LATEST),
        ("vol", pl.col("vol") * 1.04, pl.col("vol") * 1.06, CODE, LATEST),
        ("amount", pl.col("amount") * 1.04, pl.col("amount") * 1.06, CODE, LATEST),
        ("vol", pl.col("vol") * 1.009, pl.col("vol") * 1.02, CODE, BEFORE),
        ("vol", pl.col("vol") * 1.009, pl.col("vol") * 1.02, BSE, LATEST),
    ],
)
def test_a_field_agrees_within_its_tolerance_and_not_beyond(
    field: str, near: pl.Expr, far: pl.Expr, code: str, day: dt.date
) -> None:
    """After hours nobody trades on the BSE, nor did anybody before July 2026: there volumes agree to a hundredth."""
    rows = bars(CODES, [day]).with_columns(source=pl.lit("tushare"))
    assert found(rows, spoilt(rows, field, near, code, day)) == []
    assert found(rows, spoilt(rows, field, far, code, day)) == [(day, code, field)]


def test_small_volumes_may_differ_by_rounding(rows: pl.DataFrame) -> None:
    small = rows.with_columns(vol=pl.lit(3.0), amount=pl.lit(4.0))
    assert found(small, small.with_columns(vol=pl.lit(3.9), amount=pl.lit(4.9))) == []
    assert len(found(small, small.with_columns(vol=pl.lit(4.5)))) == 640


def test_a_value_that_one_side_lacks_is_not_compared_nor_a_source_with_itself(rows: pl.DataFrame) -> None:
    lacking = rows.with_columns(pre_close=pl.lit(None, pl.Float64)).drop("source")
    assert "pre_close" not in compare(DAILY_KLINE, rows, lacking, "baostock").values["field"].to_list()
    own = rows.with_columns(source=pl.when(pl.col("ts_code") == CODE).then(pl.lit("baostock")).otherwise("source"))
    assert CODE not in compare(DAILY_KLINE, own, rows.drop("source"), "baostock").codes
    nothing = compare(DAILY_KLINE, rows, rows.drop("source").clear(), "baostock")
    assert (nothing.codes, nothing.values.height, nothing.findings.height) == ([], 0, 0)


def factors(scale: float, ex_date: dt.date, *, step: float = 1.02) -> pl.DataFrame:
    of_day = pl.DataFrame({"trade_date": DAYS}).with_columns(
        adj_factor=pl.when(pl.col("trade_date") >= ex_date).then(scale * step).otherwise(scale)
    )
    return pl.DataFrame({"ts_code": CODES}).join(of_day, how="cross").with_columns(source=pl.lit("tushare"))


def test_of_factors_the_ratios_count_and_not_the_bases() -> None:
    tushare, other = factors(7.311, DAYS[4]), factors(1.0, DAYS[4]).drop("source")
    assert compare(ADJ_FACTOR, tushare, other, "baostock").findings.is_empty()
    late = factors(7.311, DAYS[5]).filter(pl.col("ts_code") == CODE)
    mixed = pl.concat([tushare.filter(pl.col("ts_code") != CODE), late])
    rows = compare(ADJ_FACTOR, mixed, other, "baostock").findings
    assert rows.select("trade_date", "ts_code", "field").rows() == [(day, CODE, "adj_factor") for day in DAYS[4:6]]
    assert rows["stored"].to_list() == pytest.approx([1.0, 1.02])
    assert rows["second"].to_list() == pytest.approx([1.02, 1.0])


def test_factors_rounded_to_three_digits_agree() -> None:
    tushare = factors(1.0005, DAYS[4], step=1.0177).with_columns(pl.col("adj_factor").round(3))
    assert compare(ADJ_FACTOR, tushare, factors(1.0005, DAYS[4], step=1.0177).drop("source"), "baostock").findings.is_empty()


def test_every_tolerance_is_of_a_column_and_says_why() -> None:
    assert set(TOLERANCES) == {dataset.name for dataset in COMPARED}
    for dataset in (DAILY_KLINE, WEEKLY_KLINE, ADJ_FACTOR, DAILY_BASIC):
        assert set(TOLERANCES[dataset.name]) <= set(dataset.column_names)
    assert all(len(tolerance.why) > 20 for fields in TOLERANCES.values() for tolerance in fields.values())
