"""Validation: what is cast, what is refused and why, and that a bad row takes no good one with it."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from quant_pipeline.market.datasets import DAILY_BASIC, DAILY_KLINE, STOCK_LIST, SUSPENSIONS, TRADE_CALENDAR
from quant_pipeline.market.validation import Checked, SpecError, keys_of, validate

DAY = dt.date(2026, 11, 20)
SESSIONS = frozenset({DAY, dt.date(2026, 11, 19)})
BAR = {
    "ts_code": "600000.SH", "trade_date": "20261120", "open": 10.0, "high": 10.5, "low": 9.9, "close": 10.1,
    "pre_close": 10.0, "change": 0.1, "pct_chg": 1.0, "vol": 1000.0, "amount": 1010.0,
}  # fmt: skip


def bars(*changes: dict[str, object]) -> pl.DataFrame:
    rows = [{**BAR, "ts_code": f"{600000 + number}.SH", **change} for number, change in enumerate(changes)]
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def check(frame: pl.DataFrame, expected: dt.date | None = DAY) -> Checked:
    return validate(DAILY_KLINE, frame, expected_session=expected, sessions=SESSIONS)


def test_good_rows_come_in_the_specs_columns_and_types() -> None:
    frame = bars({}, {"vol": 1000}).with_columns(remark=pl.lit("x"), close=pl.lit("10.1")).select(pl.all().reverse())
    checked = check(frame)
    assert checked.bad.is_empty()
    assert checked.good.schema == {column.name: column.type.polars for column in DAILY_KLINE.columns}
    assert checked.good["trade_date"].to_list() == [DAY, DAY]
    assert checked.good["close"].to_list() == [10.1, 10.1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"close": None}, "close is missing"),
        ({"close": float("nan")}, "close is missing"),
        ({"close": float("inf")}, "close is no float"),
        ({"close": 0.0, "low": 0.0}, "prices_positive"),
        ({"high": 10.05}, "ohlc_in_order"),
        ({"vol": 100000.0}, "unit_of_volume"),
        ({"pct_chg": 0.01}, "pct_chg_fits"),
        ({"ts_code": "600000"}, "code_is_tushare"),
        ({"ts_code": " "}, "ts_code is missing"),
        ({"trade_date": None}, "trade_date is missing"),
        ({"trade_date": "20261131"}, "trade_date is no date"),
        ({"trade_date": "20261119"}, "trade_date is not 2026-11-20, which was asked for"),
        ({"trade_date": "20261121"}, "trade_date is not a session"),
    ],
)
def test_a_bad_row_is_kept_as_it_came_with_its_reason(change: dict[str, object], reason: str) -> None:
    checked = check(bars({}, change, {}))
    assert checked.good["ts_code"].to_list() == ["600000.SH", "600002.SH"]
    assert checked.bad.height == 1
    assert reason in checked.bad["reason"].item().split(", ") or checked.bad["reason"].item() == reason
    ((name, value),) = list(change.items())[:1]
    assert checked.bad[name].item() == pytest.approx(value, nan_ok=True)


def test_a_row_of_a_later_day_than_was_asked_for_is_refused_as_one_of_an_earlier_day_is() -> None:
    asked = dt.date(2026, 11, 19)
    checked = check(bars({"trade_date": "20261119"}, {"trade_date": "20261120"}), asked)
    assert checked.good["trade_date"].to_list() == [asked]
    assert checked.bad["reason"].to_list() == ["trade_date is not 2026-11-19, which was asked for"]


def test_all_that_a_row_breaks_is_named() -> None:
    assert check(bars({"high": 10.05, "vol": -1.0})).bad["reason"].item() == (
        "ohlc_in_order, volume_not_negative, unit_of_volume"
    )


def test_a_missing_optional_value_breaks_no_rule() -> None:
    assert check(bars({"pre_close": None, "change": None, "pct_chg": None, "amount": None})).good.height == 1


def test_a_row_of_a_whole_range_need_not_be_of_one_session() -> None:
    assert check(bars({}, {"trade_date": "20261119"}), expected=None).good.height == 2


def test_an_answer_without_a_column_is_refused_whole() -> None:
    with pytest.raises(SpecError, match=r"daily_kline: the answer lacks close, vol"):
        check(bars({}).drop("close", "vol"))
    with pytest.raises(SpecError, match="it has nothing"):
        check(pl.DataFrame())


def test_exact_duplicates_collapse_and_contradicting_ones_are_all_bad() -> None:
    frame = bars({}, {}, {}, {})
    frame = pl.concat([frame, frame[1:3], frame[2:3].with_columns(amount=pl.lit(1011.0))])
    checked = check(frame)
    assert checked.good["ts_code"].to_list() == ["600000.SH", "600001.SH", "600003.SH"]
    assert checked.bad["ts_code"].to_list() == ["600002.SH"] * 3
    assert set(checked.bad["reason"]) == {"contradicting_duplicate"}


def test_a_bad_twin_does_not_take_the_good_one_with_it() -> None:
    frame = pl.concat([bars({}), bars({"close": None})], how="vertical_relaxed")
    checked = check(frame)
    assert (checked.good.height, checked.bad["reason"].to_list()) == (1, ["close is missing"])


@pytest.mark.parametrize(
    "day",
    [
        pl.Series(["20261120"]),
        pl.Series(["2026-11-20"]),
        pl.Series([" 20261120 "]),
        pl.Series([20261120]),
        pl.Series([20261120.0]),
        pl.Series([DAY]),
        pl.Series([dt.datetime(2026, 11, 20)]),
    ],
)
def test_a_date_is_read_in_every_form_that_sources_use(day: pl.Series) -> None:
    assert check(bars({}).with_columns(trade_date=day)).good["trade_date"].to_list() == [DAY]


def test_one_date_that_is_no_number_costs_its_own_row_and_no_other() -> None:
    checked = check(bars({}, {}, {}).with_columns(trade_date=pl.Series([20261120.0, float("inf"), 1e300])))
    assert checked.good["ts_code"].to_list() == ["600000.SH"]
    assert checked.bad["reason"].to_list() == ["trade_date is no date"] * 2


def test_whole_numbers_and_empty_columns_of_pandas() -> None:
    calendar = pl.DataFrame(
        {"exchange": ["SSE"] * 4, "cal_date": ["20261120", "20261121", "20261122", "20261123"],
         "is_open": [1.0, 0.0, 0.5, float("nan")], "pretrade_date": [None] * 4}
    )  # fmt: skip
    checked = validate(TRADE_CALENDAR, calendar, expected_session=None, sessions=SESSIONS)
    assert checked.good["is_open"].to_list() == [1, 0]
    assert checked.bad["reason"].to_list() == ["is_open is no int", "is_open is missing"]
    halts = pl.DataFrame(
        {"ts_code": ["600000.SH"], "trade_date": ["20261120"], "suspend_timing": [float("nan")], "suspend_type": ["S"]}
    )
    assert validate(SUSPENSIONS, halts, expected_session=DAY, sessions=SESSIONS).good["suspend_timing"].to_list() == [None]


def test_text_that_postgresql_cannot_store_is_blanked_or_where_it_is_required_refused() -> None:
    stocks = pl.DataFrame({name: [None, None] for name in STOCK_LIST.column_names}).with_columns(
        ts_code=pl.Series(["600000.SH", "600001.SH"]), list_status=pl.Series(["L", "D\0"]), name=pl.lit("a\0b")
    )
    checked = validate(STOCK_LIST, stocks, expected_session=None, sessions=SESSIONS)
    assert checked.bad["reason"].to_list() == ["list_status holds a zero byte"]
    assert checked.good["name"].to_list() == [None]
    assert checked.unreadable == {"name": 1}


READINGS = {"ts_code": "600000.SH", "trade_date": "20261120", "close": "10.1", "turnover_rate": "1.5", "pe": "12.5"}


def readings(*changes: dict[str, str | None]) -> pl.DataFrame:
    empty = dict.fromkeys(DAILY_BASIC.column_names)
    rows = [{**empty, **READINGS, "ts_code": f"{600000 + number}.SH", **change} for number, change in enumerate(changes)]
    return pl.DataFrame(rows, schema=dict.fromkeys(DAILY_BASIC.column_names, pl.String))


@pytest.mark.parametrize("value", ["--", "-", "null", "None", "N/A", "inf", "12,5", "亏损"])
def test_an_unreadable_value_of_an_optional_column_becomes_null_and_is_counted_and_costs_no_row(value: str) -> None:
    frame = readings({"pe": value}, {"pe": None}, {"pe": " "}, {"pe": ""}, {"pe": value, "pb": value}, {"total_mv": value})
    checked = validate(DAILY_BASIC, frame, expected_session=DAY, sessions=SESSIONS)
    assert checked.bad.is_empty()
    assert checked.good["pe"].to_list()[::5] == [None, 12.5]
    assert checked.good["pe"].null_count() == 5
    assert checked.unreadable == {"pe": 2, "pb": 1, "total_mv": 1}


def test_in_a_required_column_it_refuses_the_row_which_is_then_not_counted() -> None:
    checked = check(bars({}, {"amount": 1010.0}).with_columns(close=pl.Series(["10.1", "--"]), amount=pl.lit("--")))
    assert checked.bad["reason"].to_list() == ["close is no float"]
    assert checked.good["amount"].to_list() == [None]
    assert checked.unreadable == {"amount": 1}


def test_a_rule_does_not_judge_a_value_that_cannot_be_read() -> None:
    checked = check(bars({}).with_columns(pct_chg=pl.lit("-")))
    assert (checked.good["pct_chg"].to_list(), checked.unreadable) == ([None], {"pct_chg": 1})


@given(st.lists(st.tuples(st.sampled_from(["12.5", "--", None, "", "1e400"]), st.booleans()), min_size=1, max_size=8))
def test_what_is_counted_is_what_the_good_rows_lost(rows: list[tuple[str | None, bool]]) -> None:
    frame = readings(*({"pe": pe} | ({} if sound else {"trade_date": "20261121"}) for pe, sound in rows))
    checked = validate(DAILY_BASIC, frame, expected_session=DAY, sessions=SESSIONS)
    lost = sum(1 for pe, sound in rows if sound and pe in ("--", "1e400"))
    assert checked.unreadable.get("pe", 0) == lost
    assert checked.good.height == sum(sound for _, sound in rows)


def test_an_empty_answer_is_no_error_here() -> None:
    checked = check(bars({})[:0])
    assert (checked.good.height, checked.bad.height) == (0, 0)


cell = st.one_of(st.none(), st.floats(), st.just(10.1), st.integers(-3, 3).map(float))


@given(st.lists(st.tuples(st.integers(0, 3), cell, cell), max_size=12))
def test_every_row_is_good_or_bad_or_a_copy_and_judging_again_changes_nothing(
    rows: list[tuple[int, float | None, float | None]],
) -> None:
    changes: list[dict[str, object]] = [
        {"ts_code": f"{600000 + code}.SH", "close": close, "vol": vol} for code, close, vol in rows
    ]
    frame = bars(*changes) if changes else bars({})[:0]
    checked = check(frame)
    assert checked.bad.filter(pl.col("reason") == "").is_empty()
    assert checked.good.select("ts_code", "trade_date").is_unique().all()
    assert checked.good.height + checked.bad.height <= frame.height
    again = check(checked.good)
    assert again.bad.is_empty()
    assert_frame_equal(again.good, checked.good)
    shuffled = check(frame.sample(fraction=1, shuffle=True, seed=3))
    assert_frame_equal(shuffled.good, checked.good, check_row_order=False)


def test_the_keys_of_raw_rows_are_those_that_can_be_read_each_once() -> None:
    raw = bars({}, {"ts_code": "600000.SH"}, {"trade_date": "20261131"}, {"ts_code": None}, {"trade_date": "2026-11-19"})
    found = keys_of(DAILY_KLINE, raw.select("close", "trade_date", "ts_code"))
    assert found.columns == ["ts_code", "trade_date"]
    assert sorted(found.iter_rows()) == [("600000.SH", DAY), ("600004.SH", dt.date(2026, 11, 19))]
    without = keys_of(DAILY_KLINE, raw.drop("trade_date"))
    assert (without.height, without.columns) == (0, ["ts_code", "trade_date"])


def test_a_list_may_lack_columns_that_are_not_required_and_a_dated_answer_none() -> None:
    listed = pl.DataFrame({"ts_code": ["600000.SH"], "list_status": ["L"]})
    assert validate(STOCK_LIST, listed, expected_session=None, sessions=SESSIONS).good["name"].to_list() == [None]
    with pytest.raises(SpecError, match=r"stock_list: the answer lacks ts_code \(it has list_status\)"):
        validate(STOCK_LIST, listed.drop("ts_code"), expected_session=None, sessions=SESSIONS)
    with pytest.raises(SpecError, match="lacks amount"):
        check(bars({}).drop("amount"))


def test_a_clash_is_of_sound_rows_only_and_takes_no_other_code_with_it() -> None:
    frame = bars({}, {}, {"ts_code": "600000.SH", "amount": 1011.0}, {"ts_code": "600000.SH", "close": None})
    checked = check(frame)
    assert checked.good["ts_code"].to_list() == ["600001.SH"]
    assert checked.bad["reason"].to_list() == ["contradicting_duplicate"] * 2 + ["close is missing"]
