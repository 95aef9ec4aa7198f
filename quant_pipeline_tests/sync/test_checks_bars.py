"""Daily bars that are the session before's, and factors and pre_close that tell different stories."""

from __future__ import annotations

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
    PRICE_LIMITS,
)
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import CODES, LATEST, NOW, bars, execute, judged, market, sessions, store

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


def test_a_close_beyond_its_limit_is_named(warehouse: Database) -> None:
    rows = market(warehouse, DAYS)
    store(
        warehouse,
        PRICE_LIMITS,
        rows.with_columns(up_limit=(rows["pre_close"] * 1.1).round(2), down_limit=(rows["pre_close"] * 0.9).round(2)),
    )
    assert judged(warehouse, DAILY_KLINE, "within_price_limits", DAYS).passed
    execute(warehouse, "UPDATE daily_kline SET close = close * 1.2 WHERE ts_code = %s AND trade_date = %s", CODES[3], DAYS[1])
    verdict = judged(warehouse, DAILY_KLINE, "within_price_limits", DAYS)
    assert verdict.offending.select("ts_code", "trade_date").rows() == [(CODES[3], DAYS[1])]


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


def test_half_a_fen_breaks_the_chain_of_a_fund(warehouse: Database) -> None:
    rows = bars(CODES[:1], DAYS).with_columns(close=pl.lit(1.0), pre_close=pl.lit(1.0), adj_factor=pl.lit(1.0))
    store(warehouse, ETF_DAILY, rows)
    store(warehouse, ETF_ADJ, rows)
    assert judged(warehouse, ETF_DAILY, "pre_close_chain", DAYS).passed
    execute(warehouse, EX_RIGHTS.format(bars="etf_daily"), 0.005, LATEST, CODES[0])
    assert not judged(warehouse, ETF_DAILY, "pre_close_chain", DAYS).passed
