"""Whom a market's answer is made of, day by day, and whom to ask for one by one."""

from __future__ import annotations

import datetime as dt

import polars as pl

from quant_pipeline.market.datasets import DAILY_KLINE, INDEX_DAILY
from quant_pipeline.market.xshg import xshg
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database

JAN, MAR, MAY = dt.date(2026, 1, 5), dt.date(2026, 3, 2), dt.date(2026, 5, 6)
LISTED = pl.DataFrame(
    {
        "ts_code": ["000001.SZ", "600000.SH", "920001.BJ"],
        "list_date": [JAN, MAR, MAR],
        "delist_date": [None, None, MAY],
    }
)


def test_codes_count_from_their_first_day_to_the_one_before_their_last() -> None:
    roster = Roster(DAILY_KLINE, xshg(), LISTED)
    assert roster.rows_on([JAN, MAR, MAY]) == [1, 3, 2]
    assert roster.rows_of(["000001.SZ", "920001.BJ", "300999.SZ"], [JAN, MAR, MAY]) == [3, 1, 3]
    assert roster.listed_between(JAN, JAN) == ["000001.SZ"]
    assert roster.listed_between(MAY, MAY) == ["000001.SZ", "600000.SH"]


def test_it_is_what_the_lists_hold_without_paused_shares_and_unknown_days(warehouse: Database) -> None:
    with warehouse.connect() as connection:
        connection.execute(
            "INSERT INTO stock_list (ts_code, list_status, list_date, source) VALUES ('600000.SH', 'L', '1999-11-10', 't'),"
            " ('600001.SH', 'P', '1998-01-22', 't'), ('600002.SH', 'L', NULL, 't'), ('600003.SH', 'D', '1999-08-10', 't');"
            "INSERT INTO index_list (ts_code, list_date, source) VALUES ('000300.SH', '2005-04-08', 't'),"
            " ('399998.SZ', '2015-01-01', 't')"
        )
    assert Roster.load(warehouse, DAILY_KLINE, xshg()).listed["ts_code"].to_list() == ["600000.SH", "600003.SH"]
    assert Roster.load(warehouse, INDEX_DAILY, xshg()).listed["ts_code"].to_list() == ["000300.SH"], "the core indexes only"
