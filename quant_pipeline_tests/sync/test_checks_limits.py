"""Closes beyond the session's limits are named: the exchange's where they are stored, else those of the rules of that day."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, NAME_HISTORY, PRICE_LIMITS, SPECIAL_TREATMENT, STOCK_LIST
from quant_pipeline.sync.checks import Verdict
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import (
    CALENDAR,
    CODES,
    LATEST,
    LISTED,
    NOW,
    bars,
    execute,
    judged,
    market,
    sessions,
    store,
)

DAYS = sessions(4)
CLOSE = "UPDATE daily_kline SET close = %s WHERE ts_code = %s AND trade_date = %s"
EARLY = CALENDAR.between(dt.date(2026, 6, 29), dt.date(2026, 7, 8))
"""Around the 6th of July, since when ST changes no limit."""


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


def within(database: Database, days: tuple[dt.date, ...] = DAYS) -> Verdict:
    return judged(database, DAILY_KLINE, "within_price_limits", days)


def found(verdict: Verdict) -> list[tuple[str, dt.date]]:
    return verdict.offending.select("ts_code", "trade_date").rows()


def test_a_close_beyond_the_exchange_s_own_limit_is_named(warehouse: Database) -> None:
    rows = market(warehouse, DAYS)
    limits = rows.with_columns(up_limit=(rows["pre_close"] * 1.1).round(2), down_limit=(rows["pre_close"] * 0.9).round(2))
    store(warehouse, PRICE_LIMITS, limits)
    verdict = within(warehouse)
    assert (verdict.passed, verdict.looked_at) == (True, rows.height)
    assert verdict.text == f"0 of {rows.height} closes lie outside their limits; {rows.height} judged by the exchange's limits"
    execute(warehouse, "UPDATE daily_kline SET close = close * 1.2 WHERE ts_code = %s AND trade_date = %s", CODES[3], DAYS[1])
    assert found(within(warehouse)) == [(CODES[3], DAYS[1])]


def test_a_limit_that_is_none_is_none(warehouse: Database) -> None:
    rows = market(warehouse, DAYS)
    free = rows.filter(pl.col("ts_code") == CODES[0]).with_columns(up_limit=pl.lit(99999.99), down_limit=pl.lit(0.01))
    store(warehouse, PRICE_LIMITS, free)
    execute(warehouse, CLOSE, 30.0, CODES[0], DAYS[2])
    assert within(warehouse).passed


def test_without_stored_limits_the_rules_of_the_day_are_used_and_said(warehouse: Database) -> None:
    rows = market(warehouse, DAYS)
    store(
        warehouse,
        PRICE_LIMITS,
        rows.filter(pl.col("trade_date") == DAYS[0]).with_columns(up_limit=pl.lit(500.0), down_limit=pl.lit(0.01)),
    )
    by_rules = len(CODES) * 3
    assert within(warehouse).text == (
        f"0 of {rows.height} closes lie outside their limits; {len(CODES)} judged by the exchange's limits; "
        f"{by_rules} judged by the rules of that day"
    )
    # pre_close of the first ones of each board: 10.0 (10 %), 50.0 (20 %), 70.0 (30 %) in the second session
    for code, close in (("600000.SH", 11.01), ("300001.SZ", 60.01), ("920001.BJ", 91.01)):
        execute(warehouse, "UPDATE daily_kline SET pre_close = %s WHERE ts_code = %s AND trade_date = %s",
                {"6": 10.0, "3": 50.0, "9": 70.0}[code[0]], code, DAYS[1])  # fmt: skip
        execute(warehouse, CLOSE, close - 0.01, code, DAYS[1])
        assert within(warehouse).passed, "the limit itself"
        execute(warehouse, CLOSE, close, code, DAYS[1])
        assert found(within(warehouse)) == [(code, DAYS[1])]
        execute(warehouse, CLOSE, close - 0.01, code, DAYS[1])


def test_limits_that_were_counted_by_the_rules_are_called_so(warehouse: Database) -> None:
    rows = market(warehouse, DAYS)
    store(warehouse, PRICE_LIMITS, rows.with_columns(up_limit=pl.lit(500.0), down_limit=pl.lit(0.01)), source="derived")
    assert within(warehouse).text.endswith(f"{rows.height} judged by the rules of that day")


def test_st_is_that_of_the_name_of_that_day(warehouse: Database) -> None:
    market(warehouse, EARLY)
    code = CODES[2]
    names = [("浦发", LISTED, None), ("ST浦发", dt.date(2026, 6, 30), "ST")]
    store(
        warehouse,
        NAME_HISTORY,
        [{"ts_code": code, "name": name, "start_date": since, "change_reason": why} for name, since, why in names],
    )
    for day in EARLY:
        execute(
            warehouse, "UPDATE daily_kline SET pre_close = 10, close = 10.8 WHERE ts_code = %s AND trade_date = %s", code, day
        )
    narrow = [day for day in EARLY if dt.date(2026, 6, 30) <= day < dt.date(2026, 7, 6)]
    assert found(within(warehouse, EARLY)) == [(code, day) for day in narrow]


def test_a_listing_s_first_sessions_and_rows_before_it_are_no_alarm(warehouse: Database) -> None:
    market(warehouse, DAYS, [*CODES, "920999.BJ", "603999.SH"])
    execute(warehouse, "UPDATE stock_list SET list_date = %s WHERE ts_code = '920999.BJ'", DAYS[2])
    execute(warehouse, "UPDATE stock_list SET list_date = %s WHERE ts_code = '603999.SH'", DAYS[0])
    execute(warehouse, "UPDATE daily_kline SET close = 3 * pre_close WHERE ts_code = '603999.SH'")
    for day in DAYS[:3]:  # the issue price stands in pre_close; the rows before are those of another market
        execute(warehouse, CLOSE, 500.0, "920999.BJ", day)
    verdict = within(warehouse)
    assert verdict.passed
    assert "2 bars have limits that are not known" in verdict.text
    execute(warehouse, CLOSE, 500.0, "920999.BJ", DAYS[3])
    assert found(within(warehouse)) == [("920999.BJ", DAYS[3])]


def test_what_comes_back_from_a_halt_is_not_judged_by_rules(warehouse: Database) -> None:
    market(warehouse, DAYS)
    execute(warehouse, CLOSE, 40.0, CODES[0], DAYS[2])
    assert not within(warehouse).passed
    execute(warehouse, "DELETE FROM daily_kline WHERE ts_code = %s AND trade_date = %s", CODES[0], DAYS[1])
    assert within(warehouse, DAYS[2:]).passed, "a re-listing has no limit"


def test_where_no_name_is_stored_the_mark_of_the_day_says_who_was_st(warehouse: Database) -> None:
    market(warehouse, EARLY)
    for code, is_st in ((CODES[2], 1), (CODES[3], 0)):
        marks = [{"ts_code": code, "trade_date": day, "is_st": is_st} for day in EARLY]
        store(warehouse, SPECIAL_TREATMENT, marks, source="baostock")
        pre = 12.1 if code == CODES[2] else 13.1
        execute(warehouse, CLOSE, round(pre * 1.06, 2), code, EARLY[2])
    assert found(within(warehouse, EARLY)) == [(CODES[2], EARLY[2])]


def test_a_single_session_is_judged_too(warehouse: Database) -> None:
    store(warehouse, STOCK_LIST, [{"ts_code": code, "list_status": "L", "list_date": LISTED} for code in CODES])
    store(warehouse, DAILY_KLINE, bars(CODES, [LATEST]))
    assert within(warehouse, (LATEST,)).looked_at == len(CODES)
    execute(warehouse, CLOSE, 40.0, CODES[0], LATEST)
    assert found(within(warehouse, (LATEST,))) == [(CODES[0], LATEST)]


def test_a_code_of_no_known_board_has_no_known_limit(warehouse: Database) -> None:
    market(warehouse, DAYS, ["303001.SZ", *CODES[:3]])
    execute(warehouse, CLOSE, 40.0, "303001.SZ", DAYS[2])
    assert within(warehouse).passed
