"""Daily bars that are the session before's, and factors and pre_close that tell different stories."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    ADJ_FACTOR,
    CB_DAILY,
    DAILY_KLINE,
    ETF_ADJ,
    ETF_DAILY,
    INDEX_DAILY,
    SUSPENSIONS,
)
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CALENDAR, CODES, LATEST, NOW, bars, execute, judged, market, sessions, store

DAYS = sessions(4)
REPEAT = """
UPDATE {table} AS bar SET open = last.open, high = last.high, low = last.low, close = last.close,
    vol = last.vol, amount = last.amount
FROM {table} AS last WHERE last.ts_code = bar.ts_code AND last.trade_date = %s AND bar.trade_date = %s
    AND bar.ts_code = ANY(%s)
"""


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


@pytest.mark.parametrize("dataset", [DAILY_KLINE, ETF_DAILY, CB_DAILY, INDEX_DAILY], ids=lambda dataset: dataset.name)
def test_a_session_that_repeats_the_one_before_is_named(warehouse: Database, dataset: Dataset) -> None:
    codes = [f"{600000 + n}.SH" for n in range(200)]
    store(warehouse, dataset, bars(codes, DAYS))
    verdict = judged(warehouse, dataset, "no_repeated_session", DAYS)
    assert (verdict.passed, verdict.looked_at) == (True, 3)
    execute(warehouse, REPEAT.format(table=dataset.name), DAYS[1], DAYS[2], codes[:2])
    assert judged(warehouse, dataset, "no_repeated_session", DAYS).passed, "a hundredth may be chance"
    execute(warehouse, REPEAT.format(table=dataset.name), DAYS[1], DAYS[2], codes[:3])
    verdict = judged(warehouse, dataset, "no_repeated_session", DAYS)
    assert not verdict.passed
    assert verdict.offending.to_dicts() == [
        {"trade_date": DAYS[2], "repeats": DAYS[1], "codes": 200, "same": 3, "first": ", ".join(codes[:3])}
    ]


def test_a_repeat_of_the_session_before_the_scope_is_seen(warehouse: Database) -> None:
    market(warehouse, DAYS)
    execute(warehouse, REPEAT.format(table="daily_kline"), DAYS[2], DAYS[3], CODES)
    assert not judged(warehouse, DAILY_KLINE, "no_repeated_session", [LATEST]).passed


def test_bars_without_trades_are_no_repeats(warehouse: Database) -> None:
    store(warehouse, CB_DAILY, bars(["113010.SH"], DAYS))
    execute(warehouse, "UPDATE cb_daily SET open = 100, high = 100, low = 100, close = 100, vol = 0, amount = 0")
    assert judged(warehouse, CB_DAILY, "no_repeated_session", DAYS).passed


def test_few_codes_are_no_session(warehouse: Database) -> None:
    codes = CODES[:5]
    store(warehouse, CB_DAILY, bars(codes[:4], DAYS))
    execute(warehouse, REPEAT.format(table="cb_daily"), DAYS[1], DAYS[2], codes)
    assert judged(warehouse, CB_DAILY, "no_repeated_session", DAYS).passed, "four codes tell nothing"
    store(warehouse, CB_DAILY, bars(codes, DAYS))
    execute(warehouse, REPEAT.format(table="cb_daily"), DAYS[1], DAYS[2], codes[:1])
    assert judged(warehouse, CB_DAILY, "no_repeated_session", DAYS).passed, "one code may trade twice in the same way"
    execute(warehouse, REPEAT.format(table="cb_daily"), DAYS[1], DAYS[2], codes[:2])
    assert not judged(warehouse, CB_DAILY, "no_repeated_session", DAYS).passed


FACTOR = "UPDATE {factors} SET adj_factor = %s WHERE trade_date >= %s AND ts_code = %s"
EX_RIGHTS = "UPDATE {bars} SET pre_close = pre_close - %s WHERE trade_date = %s AND ts_code = %s"


def test_a_factor_that_jumps_without_an_ex_date_is_named(warehouse: Database) -> None:
    market(warehouse, DAYS)
    assert judged(warehouse, ADJ_FACTOR, "factor_jumps_on_ex_dates", DAYS).passed
    execute(warehouse, FACTOR.format(factors="adj_factor"), 1.25, DAYS[2], CODES[5])
    verdict = judged(warehouse, ADJ_FACTOR, "factor_jumps_on_ex_dates", DAYS)
    assert not verdict.passed
    assert verdict.offending.select("ts_code", "trade_date", "adj_factor", "found").rows() == [
        (CODES[5], DAYS[2], 1.25, "a new factor without an ex-date")
    ]


def test_an_ex_date_without_a_new_factor_is_named(warehouse: Database) -> None:
    market(warehouse, DAYS)
    execute(warehouse, EX_RIGHTS.format(bars="daily_kline"), 1.0, DAYS[1], CODES[2])
    verdict = judged(warehouse, ADJ_FACTOR, "factor_jumps_on_ex_dates", DAYS)
    assert verdict.offending.select("ts_code", "trade_date", "found").rows() == [
        (CODES[2], DAYS[1], "an ex-date without a new factor")
    ]


def test_an_ex_date_with_its_factor_passes_even_when_the_dividend_is_small(warehouse: Database) -> None:
    market(warehouse, DAYS)
    close = 10.1  # of the first code in the second session
    for dividend, code in ((1.0, CODES[0]), (0.012, CODES[0])):
        execute(warehouse, "UPDATE daily_kline SET pre_close = %s WHERE trade_date = %s AND ts_code = %s",
                round(close - dividend, 2), DAYS[2], code)  # fmt: skip
        execute(warehouse, FACTOR.format(factors="adj_factor"), close / (close - dividend), DAYS[2], code)
        assert judged(warehouse, ADJ_FACTOR, "factor_jumps_on_ex_dates", DAYS).passed
        assert judged(warehouse, DAILY_KLINE, "pre_close_chain", DAYS).passed


def test_a_factor_of_zero_breaks_no_check_but_its_own_rule(warehouse: Database) -> None:
    market(warehouse, DAYS)
    execute(warehouse, "UPDATE adj_factor SET adj_factor = 0")
    assert not judged(warehouse, ADJ_FACTOR, "rows_sane", DAYS).passed
    assert judged(warehouse, ADJ_FACTOR, "factor_jumps_on_ex_dates", DAYS).passed
    assert judged(warehouse, DAILY_KLINE, "pre_close_chain", DAYS).passed


def test_the_chain_holds_for_stocks_and_for_funds(warehouse: Database) -> None:
    rows = market(warehouse, DAYS)
    store(warehouse, ETF_DAILY, rows)
    store(warehouse, ETF_ADJ, rows.with_columns(adj_factor=pl.lit(1.0)))
    for dataset, factors in ((DAILY_KLINE, "adj_factor"), (ETF_DAILY, "etf_adj")):
        assert judged(warehouse, dataset, "pre_close_chain", DAYS).passed
        execute(warehouse, FACTOR.format(factors=factors), 2.0, DAYS[3], CODES[1])
        verdict = judged(warehouse, dataset, "pre_close_chain", DAYS)
        assert verdict.offending.select("ts_code", "trade_date").rows() == [(CODES[1], DAYS[3])]
        execute(warehouse, EX_RIGHTS.format(bars=dataset.name), 5.6, DAYS[3], CODES[1])
        assert judged(warehouse, dataset, "pre_close_chain", DAYS).passed


@pytest.mark.parametrize(("dataset", "factors"), [(DAILY_KLINE, ADJ_FACTOR), (ETF_DAILY, ETF_ADJ)], ids=["shares", "funds"])
def test_sessions_that_were_never_synced_break_no_chain(warehouse: Database, dataset: Dataset, factors: Dataset) -> None:
    rows = bars(CODES[:3], sessions(8)).filter(~pl.col("trade_date").is_in(sessions(8)[2:6]))
    store(warehouse, dataset, rows)
    store(warehouse, factors, rows.with_columns(adj_factor=pl.lit(1.0)))
    verdict = judged(warehouse, dataset, "pre_close_chain", sessions(8))
    assert (verdict.passed, verdict.looked_at) == (True, 6), "the pairs on both sides of the hole"
    execute(warehouse, EX_RIGHTS.format(bars=dataset.name), 1.0, sessions(8)[-1], CODES[1])
    assert not judged(warehouse, dataset, "pre_close_chain", sessions(8)).passed


def test_a_halt_links_the_bars_on_both_its_sides_where_all_of_its_sessions_are_known(warehouse: Database) -> None:
    days = sessions(8)
    rows = bars(CODES[:2], days).filter((pl.col("ts_code") != CODES[0]) | ~pl.col("trade_date").is_in(days[2:5]))
    store(warehouse, DAILY_KLINE, rows)
    store(warehouse, ADJ_FACTOR, rows.with_columns(adj_factor=pl.lit(1.0)))
    assert judged(warehouse, DAILY_KLINE, "pre_close_chain", days).passed, "nobody knows of a halt"
    halts = [{"ts_code": CODES[0], "trade_date": day, "suspend_type": "S"} for day in days[2:5]]
    store(warehouse, SUSPENSIONS, [*halts[:2], {**halts[2], "suspend_timing": "09:30-10:00"}])
    assert judged(warehouse, DAILY_KLINE, "pre_close_chain", days).passed, "an hour is no session"
    store(warehouse, SUSPENSIONS, halts)
    verdict = judged(warehouse, DAILY_KLINE, "pre_close_chain", days)
    assert verdict.offending.select("ts_code", "trade_date").rows() == [(CODES[0], days[5])]
    execute(warehouse, EX_RIGHTS.format(bars="daily_kline"), 0.3, days[5], CODES[0])
    assert judged(warehouse, DAILY_KLINE, "pre_close_chain", days).passed


def test_before_1994_a_volume_that_does_not_fit_is_a_warning(warehouse: Database) -> None:
    days = CALENDAR.between(dt.date(1993, 12, 29), dt.date(1994, 1, 5))
    store(warehouse, DAILY_KLINE, bars(["000001.SZ", "000002.SZ"], days).with_columns(pl.col("vol") * 5))
    verdict = judged(warehouse, DAILY_KLINE, "early_volume_fits", days)
    early = [day for day in days if day.year == 1993]
    assert verdict.text == f"in {2 * len(early)} of {2 * len(early)} bars before 1994 vol and amount do not fit the price"
    assert not verdict.passed
    late = judged(warehouse, DAILY_KLINE, "rows_sane", days).offending
    assert set(late["trade_date"]) == {day for day in days if day.year == 1994}
    assert judged(warehouse, DAILY_KLINE, "early_volume_fits", sessions(3)).passed


def test_half_a_fen_breaks_the_chain_of_a_fund(warehouse: Database) -> None:
    rows = bars(CODES[:1], DAYS).with_columns(close=pl.lit(1.0), pre_close=pl.lit(1.0), adj_factor=pl.lit(1.0))
    store(warehouse, ETF_DAILY, rows)
    store(warehouse, ETF_ADJ, rows)
    assert judged(warehouse, ETF_DAILY, "pre_close_chain", DAYS).passed
    execute(warehouse, EX_RIGHTS.format(bars="etf_daily"), 0.005, LATEST, CODES[0])
    assert not judged(warehouse, ETF_DAILY, "pre_close_chain", DAYS).passed
