"""Rows by code: frames put in order and beside each other, against what polars' own joins say."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from quant_pipeline.market.stretches import BY_CODE, ByCode, beside, beside_codes, stretches_of, within

FIRST = dt.date(2026, 1, 5)
keys = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), unique=True, max_size=30)


def _frame(key: list[tuple[str, int]], column: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts_code": [code for code, _ in key],
            "trade_date": [FIRST + dt.timedelta(days=day) for _, day in key],
            column: [float(place) if place % 5 else None for place in range(len(key))],
        },
        schema={"ts_code": pl.String, "trade_date": pl.Date, column: pl.Float64},
    )


@given(keys)
def test_rows_in_any_order_are_sorted_by_code_and_day(key: list[tuple[str, int]]) -> None:
    frame = _frame(key, "bar")
    assert_frame_equal(ByCode.sorted(frame).frame(), frame.sort(BY_CODE))
    assert ByCode.sorted(frame.sort(BY_CODE)).frame().equals(frame.sort(BY_CODE))


@given(keys, keys)
def test_what_stands_beside_a_bar_is_what_joins_find(bars: list[tuple[str, int]], rows: list[tuple[str, int]]) -> None:
    table, beside_it = ByCode.sorted(_frame(bars, "bar")), ByCode.sorted(_frame(rows, "value"))
    left, right = table.frame(), beside_it.frame()
    same = left.join(right, on=BY_CODE, how="left", maintain_order="left")
    assert_frame_equal(table.beside(beside(table, beside_it)).frame(), same)
    before = left.sort("trade_date").join_asof(right.sort("trade_date"), on="trade_date", by="ts_code", check_sortedness=False)
    assert_frame_equal(table.beside(beside(table, beside_it, or_before=True)).frame(), before.sort(BY_CODE))
    listed = right.group_by("ts_code").agg(pl.col("value").max())
    beside_each = left.join(listed, on="ts_code", how="left", maintain_order="left")
    assert_frame_equal(table.beside(beside_codes(table, listed)).frame(), beside_each)


@given(
    st.integers(17, 120), st.lists(st.tuples(st.integers(0, 150), st.sampled_from([1.0, 2.0])), unique_by=lambda row: row[0])
)
def test_of_what_seldom_changes_the_steps_say_what_all_rows_say(bars: int, factors: dict[int, float]) -> None:
    """Codes a and b have the same rows; c has none."""
    asked = ByCode.sorted(_frame([(code, day) for code in "abc" for day in range(bars)], "bar"))
    days = [FIRST + dt.timedelta(days=day) for day, _ in factors]
    dense = pl.DataFrame(
        {
            "ts_code": ["a"] * len(days) + ["b"] * len(days),
            "trade_date": days * 2,
            "value": [value for _, value in factors] * 2,
        },
        schema={"ts_code": pl.String, "trade_date": pl.Date, "value": pl.Float64},
    )
    rows = ByCode.sorted(dense)
    steps = rows.steps("value")
    again = (pl.col("value") != pl.col("value").shift(1)).fill_null(True)
    assert_frame_equal(steps.frame(), rows.frame().filter(again.over("ts_code")))
    assert_frame_equal(beside(asked, steps, or_before=True), beside(asked, rows, or_before=True))


@pytest.mark.parametrize(("day", "counted"), [(0, [0, 0]), (2, [2, 1]), (9, [3, 2])])
def test_rows_before_a_day_and_from_it_on_are_counted_by_code(day: int, counted: list[int]) -> None:
    rows = ByCode.of(_frame([("a", 0), ("a", 1), ("a", 2), ("b", 1), ("b", 4)], "bar"))
    found = rows.counted_before(FIRST + dt.timedelta(days=day))
    assert found.tolist() == counted
    cut = rows.frame().filter(pl.col("trade_date") >= FIRST + dt.timedelta(days=day))
    inside = within(rows.stretches(), rows.rows["trade_date"] >= FIRST + dt.timedelta(days=day))
    assert inside.codes.equals(stretches_of(cut["ts_code"]).codes)
    assert inside.lengths.equals(stretches_of(cut["ts_code"]).lengths)


@given(keys, st.integers(0, 9))
def test_rows_are_left_out_code_by_code(key: list[tuple[str, int]], day: int) -> None:
    frame = ByCode.sorted(_frame(key, "bar")).frame()
    late = frame["trade_date"] >= FIRST + dt.timedelta(days=day)
    earlier = ByCode.of(frame).without(late)
    assert_frame_equal(earlier.frame(), frame.filter(~late))
    assert earlier.offsets[-1] == earlier.rows.height
