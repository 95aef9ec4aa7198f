"""What a K-line shows, out of a real database: gaps, ex-dates, adjustment as the SQL views have it, units, hits."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from quant_pipeline.charts.kline import Shown, kline
from quant_pipeline.charts.lookup import by_code, fetching
from quant_pipeline.charts.periods import Frequency
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    BSE_MAPPING,
    CB_DAILY,
    DAILY_KLINE,
    ETF_ADJ,
    ETF_DAILY,
    INDEX_DAILY,
    SCREEN_RESULTS,
    SUSPENSIONS,
    TRADE_CALENDAR,
)
from quant_pipeline.market.listings import Kind, Listing
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline_tests.sync.stored import CALENDAR, LATEST, bars, sessions, store

CODE = "600519.SH"
SHARE = Listing(CODE, "贵州茅台", Kind.STOCK, "白酒", dt.date(2001, 8, 27))
DAYS = sessions(60)
HALTED = DAYS[30:33]
FORGOTTEN = DAYS[40:44]
"""Neither a bar nor a suspension: never synced, or a halt that nobody told of."""
EX_DATE = DAYS[47]
PRICES = ("open", "high", "low", "close", "pre_close")


def _fill(database: Database) -> None:
    """Sixty sessions: three halted, four that nobody knows of, an ex-date within a week; another code without gaps."""
    traded = [day for day in DAYS if day not in (*HALTED, *FORGOTTEN)]
    rows = bars([CODE], traded)
    # on the ex-date one share becomes two: from then on raw prices are half
    half = pl.when(pl.col("trade_date") >= EX_DATE).then(0.5).otherwise(1.0)
    store(database, DAILY_KLINE, rows.with_columns((pl.col(name) * half).round(2) for name in PRICES))
    store(database, DAILY_KLINE, bars(["600000.SH"], DAYS))
    store(
        database,
        ADJ_FACTOR,
        [{"ts_code": CODE, "trade_date": day, "adj_factor": 2.0 if day >= EX_DATE else 1.0} for day in DAYS],
    )
    store(database, SUSPENSIONS, [{"ts_code": CODE, "trade_date": day, "suspend_type": "S"} for day in HALTED])
    store(
        database,
        SUSPENSIONS,
        [{"ts_code": CODE, "trade_date": DAYS[50], "suspend_type": "S", "suspend_timing": "09:30-10:00"}],
    )
    store(
        database,
        TRADE_CALENDAR,
        [{"exchange": "SSE", "cal_date": day, "is_open": 1} for day in CALENDAR.between(DAYS[0], LATEST)],
    )


def test_halts_are_gaps_and_what_nobody_knows_of_is_one_gap(warehouse: Database) -> None:
    _fill(warehouse)
    line = kline(warehouse, CALENDAR, SHARE)
    gaps = line.bars.filter(pl.col("gap").is_not_null()).select("trade_date", "gap", "sessions").rows()
    assert gaps == [*((day, "halted", 1) for day in HALTED), (FORGOTTEN[0], "lacking", 4)]
    assert line.bars.filter(pl.col("gap").is_not_null()).select(*PRICES, "vol", "ma5").null_count().row(0) == (4,) * 7
    assert line.traded["trade_date"].to_list() == [day for day in DAYS if day not in (*HALTED, *FORGOTTEN)]
    assert line.halts.rows() == [(HALTED[0], HALTED[-1], 3)], "a halt within the day is no gap"


def test_averages_count_the_code_s_own_bars(warehouse: Database) -> None:
    _fill(warehouse)
    traded = kline(warehouse, CALENDAR, SHARE).traded
    closes = traded["close"].to_list()
    assert traded["ma5"].to_list()[:4] == [None] * 4
    assert traded["ma5"].to_list()[4:] == pytest.approx([sum(closes[at - 4 : at + 1]) / 5 for at in range(4, len(closes))])


@pytest.mark.parametrize("adjustment", ["qfq", "hfq"])
@pytest.mark.parametrize(("frequency", "view"), [("D", "daily"), ("W", "weekly"), ("M", "monthly")])
def test_adjusted_bars_are_those_of_the_sql_views(warehouse: Database, adjustment: Shown, frequency: str, view: str) -> None:
    _fill(warehouse)
    expected = read_sql(
        warehouse, f"SELECT * FROM {view}_kline_{adjustment} WHERE ts_code = %(code)s ORDER BY trade_date", {"code": CODE}
    ).drop("ts_code")
    shown = kline(warehouse, CALENDAR, SHARE, frequency=Frequency(frequency), adjustment=adjustment)
    assert_frame_equal(shown.traded.select(expected.columns), expected, check_exact=False)
    assert shown.shown == adjustment
    assert expected.height > 2


def test_an_ex_date_is_told_with_its_step_where_its_week_lies(warehouse: Database) -> None:
    _fill(warehouse)
    assert kline(warehouse, CALENDAR, SHARE).ex_dates.rows() == [(EX_DATE, 2.0, EX_DATE)]
    week = kline(warehouse, CALENDAR, SHARE, frequency=Frequency.WEEK).ex_dates
    assert week.rows() == [(EX_DATE, 2.0, CALENDAR.week_end(EX_DATE))]


def test_a_raw_week_with_an_ex_date_in_it_did_not_fall_by_half(warehouse: Database) -> None:
    _fill(warehouse)
    label = CALENDAR.week_end(EX_DATE)
    raw, true = (
        kline(warehouse, CALENDAR, SHARE, frequency=Frequency.WEEK, adjustment=how)
        .traded.filter(trade_date=label)
        .to_dicts()[0]
        for how in ("raw", "hfq")
    )
    assert label != EX_DATE, "the test wants an ex-date within the week"
    assert raw["pct_chg"] == pytest.approx(true["pct_chg"])
    assert raw["close"] / raw["pre_close"] - 1 == pytest.approx(raw["pct_chg"] / 100)
    assert raw["close"] == pytest.approx(true["close"] / 2)


def test_weeks_and_months_sum_what_was_traded(warehouse: Database) -> None:
    _fill(warehouse)
    for frequency in Frequency:
        shown = kline(warehouse, CALENDAR, SHARE, frequency=frequency).traded
        assert shown.select(pl.sum("vol"), pl.sum("amount")).row(0) == pytest.approx(
            read_sql(warehouse, f"SELECT sum(vol) v, sum(amount) a FROM daily_kline WHERE ts_code = '{CODE}'").row(0)
        )


def test_a_code_that_is_halted_today_ends_in_a_gap_and_a_delisted_one_in_its_last_bar(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars([CODE], DAYS[:-5]))
    store(warehouse, DAILY_KLINE, bars(["600000.SH"], DAYS))
    store(warehouse, SUSPENSIONS, [{"ts_code": CODE, "trade_date": day, "suspend_type": "S"} for day in DAYS[-5:]])
    assert kline(warehouse, CALENDAR, SHARE).bars["gap"].to_list()[-6:] == [None, *["halted"] * 5]
    gone = Listing(CODE, "退市", Kind.STOCK, delisted=DAYS[-4])
    assert kline(warehouse, CALENDAR, gone).bars["trade_date"].to_list() == list(DAYS[:-5])


def test_the_last_price_of_a_delisted_code_is_its_qfq_price(warehouse: Database) -> None:
    """Whatever factors a source sends for it after its delisting."""
    store(warehouse, DAILY_KLINE, bars([CODE], DAYS[:-5]))
    store(warehouse, ADJ_FACTOR, [{"ts_code": CODE, "trade_date": day, "adj_factor": 1.0} for day in DAYS[:-5]])
    store(warehouse, ADJ_FACTOR, [{"ts_code": CODE, "trade_date": DAYS[-1], "adj_factor": 9.0}])
    raw, qfq = (
        kline(warehouse, CALENDAR, Listing(CODE, "退市", Kind.STOCK, delisted=DAYS[-4]), adjustment=how).traded["close"]
        for how in ("raw", "qfq")
    )
    assert qfq.to_list() == raw.to_list()


def test_a_code_without_factors_is_shown_raw_and_one_with_some_from_its_first(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars([CODE], DAYS))
    line = kline(warehouse, CALENDAR, SHARE, adjustment="qfq")
    assert (line.asked, line.shown, line.traded.height) == ("qfq", "raw", 60)
    store(warehouse, ADJ_FACTOR, [{"ts_code": CODE, "trade_date": DAYS[10], "adj_factor": 1.0}])
    line = kline(warehouse, CALENDAR, SHARE, adjustment="qfq")
    assert (line.shown, line.traded.height, line.without_factor) == ("qfq", 50, 10)


def test_a_newly_listed_code_has_its_three_bars(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars([CODE], DAYS[-3:]))
    steps = zip(DAYS[-6:-4], (1.0, 2.0), strict=True)  # before its first bar: nowhere on the axis
    store(warehouse, ADJ_FACTOR, [{"ts_code": CODE, "trade_date": day, "adj_factor": step} for day, step in steps])
    line = kline(warehouse, CALENDAR, SHARE)
    assert line.bars["trade_date"].to_list() == list(DAYS[-3:])
    assert line.ex_dates.is_empty()
    assert line.bars.select("ma5", "ma60").null_count().row(0) == (3, 3)
    assert line.bars.select("dif", "k").null_count().row(0) == (0, 3), "a K needs nine bars, a DIF begins with the first"


def test_nothing_is_stored_of_a_code(warehouse: Database) -> None:
    for frequency in Frequency:
        line = kline(warehouse, CALENDAR, SHARE, frequency=frequency)
        assert (line.bars.height, line.ex_dates.height, line.hits.height) == (0, 0, 0)
    assert fetching(SHARE).endswith("--datasets daily_kline,adj_factor --symbols 600519.SH --all-history")


def test_funds_indexes_and_bonds_are_read_from_their_tables_in_the_same_units(warehouse: Database) -> None:
    def rows(code: str, **more: Any) -> pl.DataFrame:
        return bars([code], DAYS).with_columns(**more)

    store(warehouse, ETF_DAILY, rows("510300.SH"))
    store(warehouse, ETF_ADJ, [{"ts_code": "510300.SH", "trade_date": day, "adj_factor": 1 + (day >= EX_DATE)} for day in DAYS])
    store(warehouse, INDEX_DAILY, rows("000300.SH"))
    store(warehouse, CB_DAILY, rows("113050.SH", amount=pl.lit(7.0)))
    fund = kline(warehouse, CALENDAR, Listing("510300.SH", "", Kind.ETF))
    assert (fund.shown, fund.ex_dates.height, fund.digits) == ("qfq", 1, 3)
    index = kline(warehouse, CALENDAR, Listing("000300.SH", "", Kind.INDEX))
    assert (index.shown, index.traded.height, index.digits) == ("raw", 60, 2)
    bond = kline(warehouse, CALENDAR, Listing("113050.SH", "", Kind.CONVERTIBLE_BOND))
    assert bond.traded["amount"].unique().to_list() == [70.0], "万元 in the table, 千元 here"


def test_the_screens_that_hit_it_the_latest_first(warehouse: Database) -> None:
    _fill(warehouse)
    hits = [{"screen": "dual_ma", "trade_date": day, "ts_code": CODE, "score": 1.5} for day in (DAYS[20], DAYS[-1])]
    store(warehouse, SCREEN_RESULTS, [*hits, {**hits[0], "ts_code": "600000.SH"}])
    line = kline(warehouse, CALENDAR, SHARE, frequency=Frequency.WEEK)
    assert line.hits["trade_date"].to_list() == [DAYS[-1], DAYS[20]]
    assert line.hits["label"].to_list() == [LATEST, CALENDAR.week_end(DAYS[20])]


def test_a_code_with_bars_is_found_although_no_list_is_synced(warehouse: Database) -> None:
    store(warehouse, DAILY_KLINE, bars([CODE], DAYS[:1]))
    store(warehouse, ETF_DAILY, bars(["510300.SH"], DAYS[:1]))
    assert by_code(warehouse, "sh600519", []) == [Listing(CODE, "", Kind.STOCK)]
    assert by_code(warehouse, "510300", []) == [Listing("510300.SH", "", Kind.ETF)]
    assert by_code(warehouse, "600520", []) == by_code(warehouse, "maotai", []) == []
    assert by_code(warehouse, "600519", [SHARE]) == [SHARE]


def test_an_old_code_of_beijing_means_the_new_one(warehouse: Database) -> None:
    store(warehouse, BSE_MAPPING, [{"o_code": "430047.BJ", "n_code": "920047.BJ"}])
    new = Listing("920047.BJ", "诺思兰德", Kind.STOCK)
    assert by_code(warehouse, "430047", [SHARE, new]) == [new]
    assert by_code(warehouse, "430048", [SHARE, new]) == []
