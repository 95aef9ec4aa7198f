"""row_count: rows due against rows there, by session and board, in whole, thin and periodic markets."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from quant_pipeline.market.datasets import (
    AUCTION,
    CB_DAILY,
    CONVERTIBLE_BONDS,
    DAILY_KLINE,
    ETF_DAILY,
    ETF_LIST,
    INDEX_DAILY,
    INDEX_LIST,
    MONTHLY_KLINE,
    STOCK_LIST,
    SUSPENSIONS,
    WEEKLY_KLINE,
)
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import (
    BSE,
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

MANY = [f"{600000 + n}.SH" for n in range(1000)] + [f"{1 + n:06d}.SZ" for n in range(1000)]
"""A market so wide that a small board is lost in its tolerance."""


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


def test_a_whole_market_passes(warehouse: Database) -> None:
    market(warehouse, sessions(3))
    verdict = judged(warehouse, DAILY_KLINE, "row_count", sessions(3))
    assert verdict.passed
    assert verdict.text == f"0 of {3 * len(CODES)} rows due are missing"
    assert verdict.looked_at == 3 * len(CODES)


def test_a_lost_board_fails_though_the_session_is_within_its_tolerance(warehouse: Database) -> None:
    market(warehouse, [LATEST], [*MANY, *BSE])
    execute(warehouse, "DELETE FROM daily_kline WHERE ts_code LIKE '%%.BJ' AND trade_date = %s", LATEST)
    verdict = judged(warehouse, DAILY_KLINE, "row_count", [LATEST])
    assert not verdict.passed
    assert verdict.text == f"4 of 2004 rows due are missing; {LATEST}: 4 of 4 rows of BSE 北交所"
    assert verdict.offending.to_dicts() == [
        {"trade_date": LATEST, "board": "BSE 北交所", "due": 4, "missing": 4, "first": ", ".join(BSE)}
    ]


def test_odd_listings_are_tolerated_on_a_wide_board(warehouse: Database) -> None:
    market(warehouse, [LATEST], [*MANY, *BSE])
    execute(warehouse, "DELETE FROM daily_kline WHERE ts_code IN ('600007.SH', '000007.SZ')")
    verdict = judged(warehouse, DAILY_KLINE, "row_count", [LATEST])
    assert verdict.passed
    assert verdict.text == "2 of 2004 rows due are missing"


def test_each_short_session_names_its_boards(warehouse: Database) -> None:
    days = sessions(3)
    market(warehouse, days)
    execute(warehouse, "DELETE FROM daily_kline WHERE trade_date = %s AND ts_code LIKE '30000%%'", days[1])
    verdict = judged(warehouse, DAILY_KLINE, "row_count", days)
    assert not verdict.passed
    assert verdict.offending.select("trade_date", "board", "due", "missing").rows() == [(days[1], "ChiNext 创业板", 20, 9)]


ETFS = [f"{510010 + n}.SH" for n in range(20)]
BONDS = [f"{113010 + n}.SH" for n in range(20)]


def test_in_a_thin_market_a_third_may_be_missing_and_no_more(warehouse: Database) -> None:
    for universe, dataset, codes in ((ETF_LIST, ETF_DAILY, ETFS), (CONVERTIBLE_BONDS, CB_DAILY, BONDS)):
        store(warehouse, universe, [{"ts_code": code, "status": "L", "list_date": LISTED} for code in codes])
        store(warehouse, dataset, bars(codes[6:], [LATEST]))
        assert judged(warehouse, dataset, "row_count", [LATEST]).passed, dataset.name
        execute(warehouse, f"DELETE FROM {dataset.name} WHERE ts_code = %s", codes[6])
        verdict = judged(warehouse, dataset, "row_count", [LATEST])
        assert not verdict.passed
        assert verdict.offending.row(0, named=True)["missing"] == 7
        assert verdict.offending.row(0, named=True)["first"].startswith(codes[0])


def test_funds_that_are_not_listed_on_the_day_owe_nothing(warehouse: Database) -> None:
    lives = {
        "510010.SH": {"list_date": LISTED},
        "510011.SH": {"list_date": LISTED, "delist_date": LATEST},
        "510012.SH": {"list_date": LATEST + dt.timedelta(days=3)},
    }
    store(warehouse, ETF_LIST, [{"ts_code": code, "status": "L", "delist_date": None, **life} for code, life in lives.items()])
    store(warehouse, ETF_DAILY, bars(["510010.SH"], [LATEST]))
    assert judged(warehouse, ETF_DAILY, "row_count", [LATEST]).text == "0 of 1 rows due are missing"


def test_before_the_first_of_its_codes_no_row_is_due(warehouse: Database) -> None:
    store(warehouse, CONVERTIBLE_BONDS, [{"ts_code": code, "list_date": LATEST} for code in BONDS])
    before = [day for day in sessions(2) if day < LATEST]
    verdict = judged(warehouse, CB_DAILY, "row_count", before)
    assert (verdict.passed, verdict.looked_at, verdict.text) == (True, 0, "no row is due")


def test_an_auction_is_not_owed_by_a_suspended_code(warehouse: Database) -> None:
    store(warehouse, STOCK_LIST, [{"ts_code": code, "list_status": "L", "list_date": LISTED} for code in CODES])
    store(warehouse, AUCTION, bars(CODES[:30], [LATEST]))
    assert not judged(warehouse, AUCTION, "row_count", [LATEST]).passed
    halted = [{"ts_code": code, "trade_date": LATEST, "suspend_type": "S"} for code in CODES[30:]]
    store(warehouse, SUSPENSIONS, halted)
    assert judged(warehouse, AUCTION, "row_count", [LATEST]).text == "0 of 30 rows due are missing"


def test_only_the_synced_indexes_are_counted(warehouse: Database) -> None:
    store(warehouse, INDEX_LIST, [{"ts_code": code, "list_date": LISTED} for code in (*INDEX_DAILY.codes, "399999.SZ")])
    store(warehouse, INDEX_DAILY, bars(INDEX_DAILY.codes, [LATEST]))
    verdict = judged(warehouse, INDEX_DAILY, "row_count", [LATEST])
    assert (verdict.passed, verdict.looked_at) == (True, len(INDEX_DAILY.codes))
    execute(warehouse, "DELETE FROM index_daily WHERE ts_code = ANY(%s)", list(INDEX_DAILY.codes[:4]))
    assert not judged(warehouse, INDEX_DAILY, "row_count", [LATEST]).passed


@pytest.mark.parametrize(
    ("dataset", "label", "closed"),
    [(WEEKLY_KLINE, dt.date(2026, 11, 13), LATEST), (MONTHLY_KLINE, dt.date(2026, 10, 30), LATEST)],
    ids=["week", "month"],
)
def test_a_code_with_a_daily_bar_in_the_period_owes_its_row(
    warehouse: Database, dataset: object, label: dt.date, closed: dt.date
) -> None:
    assert dataset in (WEEKLY_KLINE, MONTHLY_KLINE)
    rows = market(warehouse, sessions(40))
    execute(warehouse, "DELETE FROM daily_kline WHERE ts_code = %s AND trade_date <= %s", CODES[0], label)
    store(warehouse, dataset, rows.filter(pl.col("trade_date") == label, pl.col("ts_code") != CODES[0]))
    verdict = judged(warehouse, dataset, "row_count", [label, closed])
    assert verdict.passed, "no bar in the period, no row; and the newest period has none yet"
    assert verdict.text == f"0 of {len(CODES) - 1} rows due are missing"
    execute(warehouse, f"DELETE FROM {dataset.name} WHERE ts_code = ANY(%s)", BSE)
    verdict = judged(warehouse, dataset, "row_count", [label])
    assert not verdict.passed
    assert verdict.offending.to_dicts() == [
        {"trade_date": label, "board": "BSE 北交所", "due": 4, "missing": 4, "first": ", ".join(BSE)}
    ]


def test_without_a_list_there_is_nothing_to_count_against(warehouse: Database) -> None:
    for dataset in (DAILY_KLINE, ETF_DAILY, WEEKLY_KLINE):
        verdict = judged(warehouse, dataset, "row_count", [LATEST])
        assert verdict.passed
        assert "to count against" in verdict.text
