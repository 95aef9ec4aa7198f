"""The exchange's limits by date: each change on its day and the day before, counted as the exchange counts, and a real day."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market import trading_rules
from quant_pipeline.market.codes import Board, board
from quant_pipeline.market.trading_rules import (
    delisting_period,
    limit_ticks,
    price_limits,
    session_number,
    special_treatment,
    st_limits_differ,
    st_of_the_day,
)
from quant_pipeline.market.xshg import xshg

RECORDING = Path(__file__).resolve().parents[4] / "shared" / "realdata"
LONG_AGO = dt.date(1991, 1, 2)
MAIN, CHINEXT, STAR, BSE, BOND = "600000.SH", "300001.SZ", "688001.SH", "920001.BJ", "113050.SH"
_TYPES = {
    "ts_code": pl.String,
    "trade_date": pl.Date,
    "pre_close": pl.Float64,
    "is_st": pl.Boolean,
    "list_date": pl.Date,
    "session": pl.Int64,
    "delisting_session": pl.Int64,
}


def limits(code: str, day: str, pre_close: float | None = 10.0, **known: Any) -> tuple[str | None, float | None, float | None]:
    """The rule and the limits, down and up, of one code on one day."""
    row = {"ts_code": code, "trade_date": dt.date.fromisoformat(day), "pre_close": pre_close, "is_st": False}
    frame = pl.DataFrame([{**dict.fromkeys(_TYPES), **row, "list_date": LONG_AGO, **known}], schema=_TYPES)
    found = price_limits(frame)
    assert found.columns == [*frame.columns, "limit_rule", "down_limit", "up_limit"]
    rule, down, up = found.select("limit_rule", "down_limit", "up_limit").row(0)
    return rule, down, up


@pytest.mark.parametrize(
    ("code", "day", "is_st", "rule"),
    [
        (MAIN, "1996-12-13", False, "none"),
        (MAIN, "1996-12-16", False, "10 %"),
        (MAIN, "1998-04-21", True, "10 %"),
        (MAIN, "1998-04-22", True, "5 %"),
        (MAIN, "2026-07-03", True, "5 %"),
        (MAIN, "2026-07-06", True, "10 %"),
        ("000010.SZ", "2026-07-03", True, "5 %"),
        ("000010.SZ", "2026-07-06", True, "10 %"),
        ("900901.SH", "2020-01-02", True, "5 %"),
        (CHINEXT, "2009-10-29", False, None),
        (CHINEXT, "2020-08-21", False, "10 %"),
        (CHINEXT, "2020-08-21", True, "5 %"),
        (CHINEXT, "2020-08-24", False, "20 %"),
        (CHINEXT, "2020-08-24", True, "20 %"),
        ("300216.SZ", "2020-08-24", False, "10 %"),
        ("300156.SZ", "2020-08-24", False, "10 %"),
        ("300090.SZ", "2020-12-30", False, "10 %"),
        ("300090.SZ", "2020-12-31", False, "20 %"),
        ("300216.SZ", "2020-08-21", True, "5 %"),
        (CHINEXT, "2009-10-30", True, "5 %"),
        (CHINEXT, "2009-10-30", False, "10 %"),
        (BSE, "2020-07-24", False, None),
        (BSE, "2020-07-27", False, "30 %"),
        (STAR, "2019-07-22", False, "20 %"),
        (MAIN, "1990-12-18", False, None),
        (MAIN, "1990-12-19", False, "none"),
        (BOND, "1990-12-18", False, None),
        (BOND, "1990-12-19", True, "none"),
        (STAR, "2019-07-19", False, None),
        (STAR, "2019-07-22", True, "20 %"),
        (BSE, "2021-11-15", True, "30 %"),
        ("830799.BJ", "2022-01-04", False, "30 %"),
        (BOND, "2022-07-29", False, "none"),
        (BOND, "2022-08-01", False, "20 %"),
        ("510300.SH", "2022-08-01", False, None),
        ("303001.SZ", "2026-08-03", False, None),
    ],
)
def test_each_change_is_in_force_on_its_day_and_not_on_the_one_before(
    code: str, day: str, is_st: bool, rule: str | None
) -> None:
    found, down, up = limits(code, day, is_st=is_st)
    assert found == rule
    assert (down is None, up is None) == ((rule in (None, "none"),) * 2)


@pytest.mark.parametrize(
    ("code", "listed", "session", "rule"),
    [
        (MAIN, "2013-12-31", 1, "none"),
        (MAIN, "2013-12-31", 2, "10 %"),
        (MAIN, "2014-01-17", 1, "+44.0 % -36.0 %"),
        (MAIN, "2014-01-17", 2, "10 %"),
        (MAIN, "2023-04-07", 1, "+44.0 % -36.0 %"),
        (MAIN, "2023-04-10", 1, "none"),
        (MAIN, "2023-04-10", 5, "none"),
        (MAIN, "2023-04-10", 6, "10 %"),
        (CHINEXT, "2020-08-21", 1, "+44.0 % -36.0 %"),
        (CHINEXT, "2020-08-24", 5, "none"),
        (CHINEXT, "2020-08-24", 6, "20 %"),
        (MAIN, "2014-01-02", 1, "+44.0 % -36.0 %"),
        (MAIN, "1997-01-02", 1, "none"),
        ("000001.SZ", "1997-01-02", 2, "10 %"),
        (STAR, "2019-07-22", 5, "none"),
        (BSE, "2020-07-27", 1, "none"),
        (CHINEXT, "2009-10-30", 1, "none"),
        (CHINEXT, "2009-10-30", 2, "10 %"),
        (STAR, "2019-07-22", 6, "20 %"),
        (BSE, "2023-05-04", 1, "none"),
        (BSE, "2023-05-04", 2, "30 %"),
        (BOND, "2022-08-01", 1, "+57.3 % -43.3 %"),
        (BOND, "2022-08-01", 2, "20 %"),
    ],
)
def test_what_a_listing_begins_with_is_by_the_day_of_the_listing(code: str, listed: str, session: int, rule: str) -> None:
    first = dt.date.fromisoformat(listed)
    day = xshg().shift(first, session - 1)
    assert limits(code, str(day), list_date=first, session=session)[0] == rule


def test_the_delisting_period_became_half_as_long_on_2020_12_31() -> None:
    assert [(rule.since.year, rule.sessions, rule.free) for rule in trading_rules.DELISTINGS] == [(1990, 30, 0), (2020, 15, 1)]


def test_a_listing_before_the_reform_stays_limited_after_it() -> None:
    assert limits(CHINEXT, "2020-08-25", list_date=dt.date(2020, 8, 20), session=4)[0] == "20 %"


def test_the_delisting_period_has_the_usual_limit_and_since_2020_12_31_a_free_first_session() -> None:
    assert limits(MAIN, "2020-12-30", delisting_session=1)[0] == "10 %"
    assert limits(MAIN, "2020-12-31", delisting_session=1)[0] == "none"
    assert limits(MAIN, "2021-01-04", delisting_session=2)[0] == "10 %"


@pytest.mark.parametrize(
    ("code", "day", "is_st", "pre_close", "down", "up"),
    [
        (MAIN, "2024-01-02", False, 10.35, 9.32, 11.39),  # binary floats give 11.38
        (MAIN, "1996-12-16", False, 17.81, 16.03, 19.59),  # the exchange's own example
        ("000010.SZ", "2026-06-30", True, 1.70, 1.62, 1.79),
        ("000010.SZ", "2026-07-06", True, 1.87, 1.68, 2.06),
        (BSE, "2024-01-02", False, 1.82, 1.28, 2.36),
        (MAIN, "2024-01-02", False, 0.04, 0.03, 0.05),  # a tick at least
        (MAIN, "2024-01-02", True, 0.01, 0.01, 0.02),
        ("900901.SH", "2024-01-02", False, 0.325, 0.293, 0.358),  # thousandths of a dollar
        (BOND, "2024-01-02", False, 117.345, 93.876, 140.814),
    ],
)
def test_limits_are_counted_in_ticks(code: str, day: str, is_st: bool, pre_close: float, down: float, up: float) -> None:
    assert limits(code, day, pre_close, is_st=is_st)[1:] == (down, up)


def test_the_first_day_s_edge_is_half_up_of_the_issue_price() -> None:
    assert limits(MAIN, "2015-06-01", 7.47, list_date=dt.date(2015, 6, 1), session=1)[1:] == (4.78, 10.76)


@pytest.mark.parametrize(
    ("code", "ticks", "down", "up"), [(MAIN, 100, 932, 1139), ("900901.SH", 1000, 9315, 11385), (BSE, 100, 725, 1345)]
)
def test_limits_are_told_in_whole_ticks_too(code: str, ticks: int, down: int, up: int) -> None:
    row = {"ts_code": code, "trade_date": dt.date(2024, 1, 2), "pre_close": 10.35, "is_st": False, "list_date": LONG_AGO}
    found = limit_ticks(pl.DataFrame([dict.fromkeys(_TYPES) | row], schema=_TYPES))
    assert found.columns == [*_TYPES, "limit_rule", "ticks_per_yuan", "down_ticks", "up_ticks"]
    assert found.select("ticks_per_yuan", "down_ticks", "up_ticks").row(0) == (ticks, down, up)
    assert {found.schema[name] for name in ("ticks_per_yuan", "down_ticks", "up_ticks")} == {pl.Int64()}


def test_limits_of_many_rows_are_the_numbers_that_a_person_writes() -> None:
    cents = range(20, 30_000)
    row = dict.fromkeys(_TYPES) | {"ts_code": MAIN, "trade_date": dt.date(2024, 1, 2), "is_st": False, "list_date": LONG_AGO}
    frame = pl.DataFrame([row], schema=_TYPES).drop("pre_close").join(pl.DataFrame({"pre_close": cents}) / 100, how="cross")
    ticks, limits = limit_ticks(frame), price_limits(frame)
    for side in ("down", "up"):
        assert limits[f"{side}_limit"].to_list() == [each / 100 for each in ticks[f"{side}_ticks"]]


_CENT = Decimal("0.01")


@given(st.sampled_from([MAIN, CHINEXT, STAR, BSE]), st.booleans(), st.integers(2, 300_000))
def test_counted_with_whole_numbers_it_is_what_exact_decimals_give(code: str, is_st: bool, cents: int) -> None:
    pre = Decimal(cents) / 100
    rule, down, up = limits(code, "2024-01-02", float(pre), is_st=is_st)
    assert rule is not None
    rate = Decimal(rule.removesuffix(" %")) / 100
    up_way, down_way = (ROUND_FLOOR, ROUND_CEILING) if board(code) is Board.BSE else (ROUND_HALF_UP, ROUND_HALF_UP)
    assert up == float(max((pre * (1 + rate)).quantize(_CENT, up_way), pre + _CENT))
    assert down == float(min((pre * (1 - rate)).quantize(_CENT, down_way), pre - _CENT))


@given(
    st.sampled_from([MAIN, "000001.SZ", "200002.SZ", CHINEXT, STAR, BSE, BOND, "510300.SH", "303001.SZ"]),
    st.dates(dt.date(1990, 12, 19), dt.date(2026, 12, 31)),
    st.booleans() | st.none(),
    st.integers(-5, 8) | st.none(),
    st.integers(1, 100_000) | st.none(),
)
def test_whatever_is_asked_the_limits_enclose_pre_close_or_are_not_there(
    code: str, day: dt.date, is_st: bool | None, session: int | None, ticks: int | None
) -> None:
    pre_close = None if ticks is None else ticks / 100
    rule, down, up = limits(code, str(day), pre_close, is_st=is_st, session=session, list_date=day)
    if rule in (None, "none"):
        assert (down, up) == (None, None)
    else:
        assert pre_close is not None
        assert down is not None
        assert up is not None
        assert 0 < down <= pre_close < up


def test_what_is_not_known_is_not_guessed() -> None:
    assert limits(MAIN, "2024-01-02", None) == (None, None, None)
    assert limits(MAIN, "2024-01-02", is_st=None) == (None, None, None)
    assert limits(MAIN, "2026-07-06", is_st=None)[0] == "10 %", "ST changes nothing there"


def test_names_tell_special_treatment_and_the_delisting_period() -> None:
    names = [
        "ST凯撒",
        "*ST海投",
        "SST中纺",
        "S*ST北亚",
        "PT水仙",
        "XDST得润",
        "N*ST宏",
        "S佳通",
        "平安银行",
        "退市海润",
        "海润退",
        "BEST",
    ]
    special = [True] * 8 + [False] * 4
    frame = pl.DataFrame({"name": names}).with_columns(day=pl.lit(dt.date(2007, 1, 8)))
    told = frame.select(
        special=special_treatment(pl.col("name"), pl.col("day")),
        early=special_treatment(pl.col("name"), pl.col("day") - pl.duration(days=3)),
        leaving=delisting_period(pl.col("name")),
    )
    assert told["special"].to_list() == special
    assert told["early"].to_list() == [*special[:7], False, *special[8:]]
    assert told["leaving"].to_list() == [False] * 9 + [True, True, False]


def test_sessions_are_counted_from_the_first_one() -> None:
    days = pl.DataFrame(
        {
            "first": [dt.date(2026, 11, 13), dt.date(2026, 11, 14), dt.date(2026, 11, 16), dt.date(2026, 11, 17), None],
            "day": [dt.date(2026, 11, 16)] * 5,
        }
    )
    assert days.select(n=session_number(pl.col("first"), pl.col("day"), xshg()))["n"].to_list() == [2, 1, 1, 0, None]


def test_each_rule_names_its_source_and_no_two_begin_on_one_day_for_one_board() -> None:
    for table in (trading_rules.LIMITS, trading_rules.LISTINGS):
        places = [(each, rule.since) for rule in table for each in rule.boards]
        assert len(set(places)) == len(places)
        assert all(rule.source for rule in table)


@pytest.mark.skipif(not RECORDING.is_dir(), reason="the recorded session is not here")
def test_a_real_session_s_limits_are_what_the_rules_give() -> None:
    def day(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.String).str.to_date("%Y%m%d").alias(name)

    read = {name: pl.read_csv(RECORDING / f"{name}.csv.gz") for name in ("daily", "stk_limit", "stock_basic")}
    listed = read["stock_basic"].select("ts_code", "name", day("list_date"))
    rows = (
        read["stk_limit"]
        .select("ts_code", day("trade_date"), told_up="up_limit", told_down="down_limit")
        .join(read["daily"].select("ts_code", pre_close="close"), on="ts_code")
        .join(listed, on="ts_code", how="left")
        .with_columns(
            is_st=special_treatment(pl.col("name"), pl.col("trade_date")).fill_null(False),
            session=session_number(pl.col("list_date"), pl.col("trade_date"), xshg()),
        )
    )
    found = price_limits(rows)
    free = pl.col("limit_rule") == trading_rules.NO_LIMIT
    off = pl.max_horizontal((pl.col(f"told_{side}") - pl.col(f"{side}_limit")).abs() for side in ("up", "down"))
    agree = pl.when(free).then(pl.col("told_up") >= trading_rules.STORED_NO_LIMIT).otherwise(off < 1e-6)
    other = found.filter(~agree.fill_null(False))
    assert found.filter(free).height == 3
    # The day before's close stands in for pre_close here: a dozen went ex-dividend, three changed to or from ST that day.
    assert (rows.height, other.height) == (5449, 15)
    renamed = other.filter(pl.col("told_up") - pl.col("told_down") > 1.5 * (pl.col("up_limit") - pl.col("down_limit")))
    assert renamed["ts_code"].to_list() == ["002055.SZ", "002424.SZ"]


@pytest.mark.parametrize(
    ("name", "is_st", "today", "listed", "leaves", "day", "known"),
    [
        ("浦发银行", 1, "*ST浦发", "1999-11-10", None, "2025-11-20", False),  # the name of the day comes before any mark
        ("*ST浦发", 0, "浦发银行", "1999-11-10", None, "2025-11-20", True),
        (None, 1, "浦发银行", "1999-11-10", None, "2025-11-20", True),
        (None, 0, "*ST浦发", "1999-11-10", None, "2025-11-20", False),  # today's name is not that of the day
        (None, None, "浦发银行", "1999-11-10", None, "2025-11-20", None),
        (None, 0, "S佳通", "1999-05-07", None, "2007-01-08", True),
        (None, 0, "S佳通", "1999-05-07", None, "2007-01-05", False),
        (None, 0, "浦发银行", "2006-06-16", None, "2013-12-31", None),  # it may have been unreformed
        (None, 0, "浦发银行", "2006-06-16", None, "2014-01-01", False),
        (None, 0, "浦发银行", "2006-06-19", None, "2007-01-08", False),
        (None, 0, "浦发银行", None, None, "2007-01-08", None),
        (None, 1, "浦发银行", "2006-06-16", None, "2007-01-08", True),
        (None, 1, "退市海润", "2003-10-17", "2019-07-12", "2019-04-13", None),  # it may be in its delisting period
        (None, 1, "退市海润", "2003-10-17", "2019-07-12", "2019-04-12", True),
    ],
)
def test_who_was_st_is_said_by_the_name_of_the_day_or_by_a_mark_but_for_what_that_cannot_know(
    name: str | None,
    is_st: int | None,
    today: str,
    listed: str | None,
    leaves: str | None,
    day: str,
    known: bool | None,
) -> None:
    texts = {"name": name, "name_today": today, "list_date": listed, "delist_date": leaves, "trade_date": day}
    row = pl.DataFrame([texts | {"is_st": is_st}], schema={**dict.fromkeys(texts, pl.String), "is_st": pl.Int64})
    row = row.with_columns(pl.col("list_date", "delist_date", "trade_date").str.to_date())
    assert row.select(st_of_the_day()).item() is known


@pytest.mark.parametrize(
    ("day", "differ"), [("1998-04-21", False), ("1998-04-22", True), ("2026-07-05", True), ("2026-07-06", False)]
)
def test_st_has_limits_of_its_own_from_1998_to_2026(day: str, differ: bool) -> None:
    assert st_limits_differ(dt.date.fromisoformat(day)) is differ
