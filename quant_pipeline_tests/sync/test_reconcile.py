"""The sample of a session, and the comparison of two sources field by field."""

from __future__ import annotations

import polars as pl
import pytest

from quant_pipeline.market.codes import board_of
from quant_pipeline.market.datasets import DAILY_KLINE
from quant_pipeline.market.reports import RECONCILIATION
from quant_pipeline.sync.reconcile import FIELDS, Agreement, judge, reconcile, sample
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import BSE, CHINEXT, CODES, LATEST, MAIN, bars, execute, sessions, store

DAYS = sessions(5)


@pytest.fixture
def rows() -> pl.DataFrame:
    """320 bars: 64 codes over five sessions, of Tushare."""
    return bars(CODES, DAYS).with_columns(source=pl.lit("tushare"))


def second(rows: pl.DataFrame, source: str = "baostock") -> pl.DataFrame:
    return rows.with_columns(source=pl.lit(source))


def spoilt(rows: pl.DataFrame, field: str, by: pl.Expr, codes: list[str]) -> pl.DataFrame:
    return rows.with_columns(pl.when(pl.col("ts_code").is_in(codes)).then(by).otherwise(field).alias(field))


def test_the_sample_is_the_same_every_time_and_another_every_day(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars(CODES, DAYS))
    drawn = sample(warehouse, LATEST, 16, seed=1)
    assert drawn == sample(warehouse, LATEST, 16, seed=1)
    assert len(set(drawn)) == 16
    assert drawn != sample(warehouse, DAYS[0], 16, seed=1)
    assert drawn != sample(warehouse, LATEST, 16, seed=2)


def test_the_sample_takes_every_board_in_proportion(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars(CODES, DAYS))
    for seed in range(5):
        drawn = set(sample(warehouse, LATEST, 16, seed))
        assert [len(drawn & set(board)) for board in (MAIN, CHINEXT, BSE)] == [10, 5, 1]
        assert (
            pl.DataFrame({"ts_code": sample(warehouse, LATEST, 3, seed)}).select(board_of(pl.col("ts_code")).n_unique()).item()
            == 3
        )


def test_only_codes_that_traded_are_drawn(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars(CODES, DAYS))
    execute(warehouse, "DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = %s", CODES[0], LATEST)
    assert sample(warehouse, LATEST, 1000, seed=1) == sorted(CODES[1:])
    execute(warehouse, "DELETE FROM daily_kline WHERE trade_date = %s", LATEST)
    assert sample(warehouse, LATEST, 16, seed=1) == []


def test_equal_rows_agree_in_every_field(rows: pl.DataFrame) -> None:
    found = reconcile(rows, second(rows))
    agreement = found.agreement()
    assert agreement["field"].to_list() == list(FIELDS)
    assert set(agreement["second_source"]) == {"baostock"}
    assert set(agreement["compared"]) == set(agreement["agreeing"]) == {320}
    assert set(agreement["agreement"]) == {100.0}
    assert found.rows == 320
    assert found.worst().is_empty()
    assert judge(agreement) is Agreement.GOOD


@pytest.mark.parametrize(
    ("field", "near", "far"),
    [
        *((name, pl.col(name) + 0.005, pl.col(name) + 0.01) for name in ("open", "high", "low", "close", "pre_close")),
        ("pct_chg", pl.col("pct_chg") + 0.019, pl.col("pct_chg") + 0.03),
        ("vol", pl.col("vol") * 1.009, pl.col("vol") * 1.02),
        ("amount", pl.col("amount") * 1.009, pl.col("amount") * 1.02),
    ],
)
def test_a_field_agrees_within_its_tolerance_and_not_beyond(
    rows: pl.DataFrame, field: str, near: pl.Expr, far: pl.Expr
) -> None:
    close_by = reconcile(rows, second(spoilt(rows, field, near, CODES)))
    assert judge(close_by.agreement()) is Agreement.GOOD
    code = CODES[7]
    found = reconcile(rows, second(spoilt(rows, field, far, [code])))
    lowest = found.agreement().sort("agreement").row(0, named=True)
    assert (lowest["field"], lowest["agreeing"], lowest["worst_code"]) == (field, 315, code)
    assert lowest["agreement"] == pytest.approx(100 * 315 / 320)
    worst = found.worst()
    assert lowest["worst_difference"] in worst["difference"]
    assert worst.select("ts_code", "field", "source", "second_source").unique().rows() == [(code, field, "tushare", "baostock")]
    assert worst.height == 5


def test_small_volumes_may_differ_by_rounding(rows: pl.DataFrame) -> None:
    small = rows.with_columns(vol=pl.lit(3.0), amount=pl.lit(4.0))
    other = second(small.with_columns(vol=pl.lit(3.9), amount=pl.lit(4.9)))
    assert judge(reconcile(small, other).agreement()) is Agreement.GOOD
    assert judge(reconcile(small, other.with_columns(vol=pl.lit(4.5))).agreement()) is Agreement.BROKEN


@pytest.mark.parametrize(("codes", "verdict"), [(1, Agreement.GOOD), (2, Agreement.DOUBTFUL), (7, Agreement.BROKEN)])
def test_the_worst_field_of_the_worst_source_decides(rows: pl.DataFrame, codes: int, verdict: Agreement) -> None:
    others = pl.concat([second(rows), second(spoilt(rows, "close", pl.col("close") + 1, CODES[:codes]), "akshare")])
    found = reconcile(rows, others)
    assert found.rows == 640
    assert judge(found.agreement()) is verdict
    assert judge(found.agreement().filter(pl.col("second_source") == "baostock")) is Agreement.GOOD
    assert set(found.worst()["second_source"]) == {"akshare"}


def test_a_value_that_one_side_lacks_is_not_compared_nor_a_source_with_itself(rows: pl.DataFrame) -> None:
    lacking = second(rows).with_columns(pre_close=pl.lit(None, pl.Float64))
    found = reconcile(rows, lacking)
    assert "pre_close" not in found.agreement()["field"].to_list()
    mixed = rows.with_columns(source=pl.when(pl.col("ts_code").is_in(BSE)).then(pl.lit("baostock")).otherwise("source"))
    assert reconcile(mixed, second(rows)).rows == 320 - len(BSE) * len(DAYS)
    nothing = reconcile(rows, second(rows.clear()))
    assert (nothing.rows, nothing.agreement().height, judge(nothing.agreement())) == (0, 0, Agreement.GOOD)


def test_the_agreement_by_session_is_the_report_s_rows(rows: pl.DataFrame) -> None:
    off = second(rows).with_columns(close=pl.when(pl.col("trade_date") == LATEST).then(pl.col("close") * 2).otherwise("close"))
    report = reconcile(rows, off).agreement("trade_date").with_columns(dataset=pl.lit("daily_kline"))
    assert set(report.columns) == set(RECONCILIATION.column_names)
    assert {column.name: column.type.polars for column in RECONCILIATION.columns}.items() == dict(report.schema).items()
    assert report.n_unique(RECONCILIATION.key) == report.height == len(DAYS) * len(FIELDS)
    disagreeing = report.filter(pl.col("agreement") < 100)
    assert disagreeing.select("trade_date", "field", "agreement").rows() == [(LATEST, "close", 0.0)]
