"""Rows that complete each other become one; rows that contradict each other are left for validation to refuse."""

from __future__ import annotations

import datetime as dt

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.datasets import DIVIDENDS, NAME_HISTORY, STOCK_LIST, SUSPENSIONS
from quant_pipeline.market.validation import validate

DAY, END = dt.date(2026, 3, 2), dt.date(2026, 8, 3)
SESSIONS = frozenset({DAY})
PERIOD = {"ts_code": "600000.SH", "name": "*ST浦发", "start_date": "20260302", "change_reason": "*ST"}
HALT = {"ts_code": "600000.SH", "trade_date": "20260302", "suspend_type": "S"}


def periods(*changes: dict[str, str | None]) -> pl.DataFrame:
    rows = [dict.fromkeys(NAME_HISTORY.column_names) | PERIOD | change for change in changes]
    return pl.DataFrame(rows, schema=dict.fromkeys(NAME_HISTORY.column_names, pl.String))


def halts(*timings: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        [HALT | {"suspend_timing": timing} for timing in timings],
        schema=dict.fromkeys(SUSPENSIONS.column_names, pl.String),
    )


def test_a_name_period_with_and_without_its_end_is_one() -> None:
    for order in ((0, 1), (1, 0)):
        both = periods({}, {"end_date": "20260803", "ann_date": "20260301"})[list(order)]
        checked = validate(NAME_HISTORY, both, expected_session=None, sessions=SESSIONS)
        assert checked.bad.is_empty()
        assert checked.good.select("name", "start_date", "end_date", "ann_date", "change_reason").rows() == [
            ("*ST浦发", DAY, END, dt.date(2026, 3, 1), "*ST")
        ]


def test_the_first_announcement_is_the_period_s() -> None:
    both = periods({"ann_date": "20260301"}, {"ann_date": "20260228"}, {"ts_code": "600001.SH"})
    checked = validate(NAME_HISTORY, both, expected_session=None, sessions=SESSIONS)
    assert checked.good.sort("ts_code")["ann_date"].to_list() == [dt.date(2026, 2, 28), None]


def test_two_ends_contradict_each_other() -> None:
    both = periods({"end_date": "20260803"}, {"end_date": "20260804"}, {"ts_code": "600001.SH"})
    checked = validate(NAME_HISTORY, both, expected_session=None, sessions=SESSIONS)
    assert checked.good["ts_code"].to_list() == ["600001.SH"]
    assert checked.bad["reason"].to_list() == ["contradicting_duplicate"] * 2


def test_halts_of_one_session_are_united() -> None:
    for timings, united in (
        ((None, "09:30-10:00"), None),
        (("13:00-13:10", "09:30-10:00"), "09:30-10:00,13:00-13:10"),
        (("09:30-10:00", "09:30-10:00"), "09:30-10:00"),
    ):
        checked = validate(SUSPENSIONS, halts(*timings), expected_session=DAY, sessions=SESSIONS)
        assert checked.bad.is_empty()
        assert checked.good["suspend_timing"].to_list() == [united]


def test_a_data_set_without_a_rule_merges_nothing() -> None:
    stocks = pl.DataFrame({name: [None, None] for name in STOCK_LIST.column_names}).with_columns(
        ts_code=pl.lit("600000.SH"), list_status=pl.lit("L"), name=pl.Series([None, "浦发银行"])
    )
    assert validate(STOCK_LIST, stocks, expected_session=None, sessions=SESSIONS).bad.height == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([None, "20260803", "20260804"]), st.sampled_from([None, "*ST"])),
        max_size=8,
    )
)
def test_no_period_is_lost_or_doubled_and_the_order_does_not_matter(rows: list[tuple[int, str | None, str | None]]) -> None:
    frame = periods(*({"ts_code": f"60000{code}.SH", "end_date": end, "change_reason": why} for code, end, why in rows))
    checked = validate(NAME_HISTORY, frame, expected_session=None, sessions=SESSIONS)
    assert checked.good["ts_code"].is_unique().all()
    assert set(checked.good["ts_code"]) | set(checked.bad["ts_code"]) == set(frame["ts_code"])
    assert set(checked.good["ts_code"]).isdisjoint(checked.bad["ts_code"])
    shuffled = validate(NAME_HISTORY, frame.reverse(), expected_session=None, sessions=SESSIONS)
    assert shuffled.good.sort("ts_code").equals(checked.good.sort("ts_code"))


PAID = {
    "ts_code": "600000.SH",
    "trade_date": "20260302",
    "ex_date": "20260302",
    "end_date": "20251231",
    "div_proc": "实施",
    "cash_div_tax": "0.1",
    "stk_div": "0.2",
    "ann_date": "20260101",
    "imp_ann_date": "20260220",
}


def dividends(*changes: dict[str, str | None]) -> pl.DataFrame:
    rows = [dict.fromkeys(DIVIDENDS.column_names) | PAID | change for change in changes]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(DIVIDENDS.column_names, pl.String))
    checked = validate(DIVIDENDS, frame, expected_session=DAY, sessions=SESSIONS)
    assert checked.bad.is_empty()
    return checked.good


def test_a_dividend_that_is_told_twice_is_one_and_the_last_announcement_holds() -> None:
    for order in ((0, 1), (1, 0)):
        told = [{}, {"cash_div_tax": "0.12", "imp_ann_date": "20260225"}]
        rows = dividends({}, *(told[place] for place in order))
        assert rows.select("cash_div_tax", "stk_div").rows() == [(0.12, 0.2)]


def test_dividends_of_two_periods_on_one_ex_date_are_their_sum() -> None:
    rows = dividends({}, {"end_date": "20260630", "cash_div_tax": "0.2", "stk_div": None, "cash_div": None})
    assert rows.select("cash_div_tax", "stk_div", "cash_div", "end_date").rows() == [(0.3, 0.2, None, dt.date(2026, 6, 30))]


def test_a_dividend_that_is_only_planned_is_refused() -> None:
    frame = pl.DataFrame([dict.fromkeys(DIVIDENDS.column_names) | PAID | {"div_proc": "预案"}])
    checked = validate(DIVIDENDS, frame, expected_session=DAY, sessions=SESSIONS)
    assert checked.bad["reason"].to_list() == ["dividend_carried_out"]
