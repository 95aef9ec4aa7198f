"""Adjusted K-lines in SQL: what `adjust` says, and read by the indexes."""

from __future__ import annotations

import datetime as dt
import itertools

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from quant_pipeline.market.adjustment import Adjustment, adjust
from quant_pipeline.market.bars import KLINE
from quant_pipeline.market.datasets import ADJ_FACTOR, DAILY_KLINE, TRADE_CALENDAR
from quant_pipeline.warehouse import views
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql
from quant_pipeline.warehouse.upsert import upsert

CODES = ("600000.SH", "000001.SZ", "920001.BJ")
SESSIONS = tuple(dt.date(2026, 10, 8) + dt.timedelta(days=n) for n in range(28))
SESSIONS = tuple(day for day in SESSIONS if day.weekday() < 5 and day != dt.date(2026, 10, 23))
"""Of October and November 2026, the last Friday of a week being a holiday."""
VIEWS = [f"{period}_kline_{how}" for period, how in itertools.product(("daily", "weekly", "monthly"), ("hfq", "qfq"))]
SHARED = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])

ratios = st.lists(st.sampled_from([None, 1.0, 1.0, 1.0, 1.1, 1.25, 2.0]), min_size=len(SESSIONS), max_size=len(SESSIONS))
"""Per session: the step of the factor on that day; None: halted."""
histories = st.lists(ratios, min_size=len(CODES), max_size=len(CODES))


def _bars(histories: list[list[float | None]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars of each code, without those of its halts, and its factors, halts included."""
    bars, factors = [], []
    for code, steps in zip(CODES, histories, strict=True):
        factor, close = 1.0, 20.0
        for place, (day, step) in enumerate(zip(SESSIONS, steps, strict=True)):
            factor *= step or 1.0
            factors.append((code, day, factor))
            if step is None:
                continue
            pre_close, close = round(close / step, 2), round(close / step * (1 + (place % 7 - 3) / 100), 2)
            opened = round((pre_close + close) / 2, 2)
            bars.append(
                (code, day, opened, max(opened, close) + 0.1, min(opened, close) - 0.1, close, pre_close, 100.0 + place)
            )
    names = ("ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "vol")
    schema = {column.name: column.type.polars for column in KLINE if column.name in names}
    frame = pl.DataFrame(bars, schema={name: schema[name] for name in names}, orient="row").with_columns(
        change=pl.col("close") - pl.col("pre_close"),
        pct_chg=(pl.col("close") / pl.col("pre_close") - 1) * 100,
        amount=pl.col("vol") * pl.col("close") / 10,
    )
    return frame, pl.DataFrame(factors, schema=dict(zip(ADJ_FACTOR.column_names, _FACTOR_TYPES, strict=True)), orient="row")


_FACTOR_TYPES = tuple(column.type.polars for column in ADJ_FACTOR.columns)


def store(database: Database, bars: pl.DataFrame, factors: pl.DataFrame) -> None:
    """Puts these in the place of all that is stored; the calendar goes on for a week after the last session."""
    days = [SESSIONS[0] + dt.timedelta(days=n) for n in range((SESSIONS[-1] - SESSIONS[0]).days + 8)]
    calendar = pl.DataFrame(
        {"exchange": "SSE", "cal_date": days, "is_open": [int(day in SESSIONS or day > SESSIONS[-1]) for day in days]}
    ).with_columns(pretrade_date=pl.lit(None, pl.Date))
    with database.connect() as connection:
        connection.execute("TRUNCATE daily_kline, adj_factor, trade_calendar")
        upsert(connection, TRADE_CALENDAR, calendar, source="tushare")
        upsert(connection, DAILY_KLINE, bars, source="tushare")
        upsert(connection, ADJ_FACTOR, factors, source="tushare")


def seen(database: Database, view: str, where: str = "true") -> pl.DataFrame:
    return read_sql(database, f"SELECT * FROM {view} WHERE {where}").sort("ts_code", "trade_date")


def aggregated(adjusted: pl.DataFrame, every: str) -> pl.DataFrame:
    """The plain reference: weeks or months of adjusted bars, labelled with the market's last session of each."""
    so_far = [day for day in SESSIONS if day <= max(adjusted["trade_date"], default=SESSIONS[0])]
    label = pl.DataFrame({"trade_date": so_far}).with_columns(
        pl.col("trade_date").max().over(pl.col("trade_date").dt.truncate(every)).alias("label")
    )
    periods = adjusted.join(label, on="trade_date").sort("trade_date").group_by("ts_code", "label")
    return (
        periods.agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("pre_close").first(),
            pl.col("vol", "amount").sum(),
        )
        .rename({"label": "trade_date"})
        .sort("ts_code", "trade_date")
    )


def same(seen: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert_frame_equal(seen.select(expected.columns), expected, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("how", ["hfq", "qfq"])
@SHARED
@given(histories=histories, kept=st.floats(0, 1), told=st.floats(0, 1))
def test_view_and_function_agree_in_every_column(
    warehouse: Database, how: Adjustment, histories: list[list[float | None]], kept: float, told: float
) -> None:
    bars, factors = _bars(histories)
    holes = factors.sample(fraction=kept, seed=7)
    has_pre_close = pl.int_range(pl.len()) < told * pl.len()  # a source may lack it, and the changes from it
    bars = bars.with_columns(pl.when(has_pre_close).then(pl.col("pre_close", "change", "pct_chg")))
    store(warehouse, bars, holes)
    view = seen(warehouse, f"daily_kline_{how}")
    assert set(view.columns) == set(bars.columns)
    same(view, adjust(bars, holes, how))


@pytest.mark.parametrize("how", ["hfq", "qfq"])
@pytest.mark.parametrize(("period", "every"), [("weekly", "1w"), ("monthly", "1mo")])
@SHARED
@given(histories=histories)
def test_periods_are_made_of_adjusted_days(
    warehouse: Database, how: Adjustment, period: str, every: str, histories: list[list[float | None]]
) -> None:
    bars, factors = _bars(histories)
    store(warehouse, bars, factors)
    same(seen(warehouse, f"{period}_kline_{how}"), aggregated(adjust(bars, factors, how), every))


@pytest.fixture
def filled(warehouse: Database) -> Database:
    """Three codes; each has an ex-date (2 for 1) on Wednesday, 2026-10-14, the second is halted on Friday, 2026-10-16."""
    steps: list[float | None] = [2.0 if day == dt.date(2026, 10, 14) else 1.0 for day in SESSIONS]
    halted = [None if day == dt.date(2026, 10, 16) else step for day, step in zip(SESSIONS, steps, strict=True)]
    store(warehouse, *_bars([steps, halted, steps]))
    return warehouse


def test_an_ex_date_within_a_week_splices_nothing(filled: Database) -> None:
    raw = filled_bars(filled, "600000.SH", dt.date(2026, 10, 12), dt.date(2026, 10, 16))
    week = seen(filled, "weekly_kline_hfq", "ts_code = '600000.SH' AND trade_date = '2026-10-16'").row(0, named=True)
    assert raw["high"].max() > 1.8 * raw["high"][-1]
    assert week["high"] == pytest.approx(max([*raw["high"][:2], *(raw["high"][2:] * 2)]))
    assert week["pre_close"] == pytest.approx(raw["pre_close"][0])
    assert week["change"] == pytest.approx(raw["close"][-1] * 2 - raw["pre_close"][0])
    assert week["pct_chg"] == pytest.approx((week["close"] / week["pre_close"] - 1) * 100)
    assert week["vol"] == raw["vol"].sum()


def filled_bars(database: Database, code: str, start: dt.date, end: dt.date) -> pl.DataFrame:
    where = {"code": code, "start": start, "end": end}
    query = "SELECT * FROM daily_kline WHERE ts_code = %(code)s AND trade_date BETWEEN %(start)s AND %(end)s"
    return read_sql(database, query, where).sort("trade_date")


def test_all_codes_bear_the_week_s_label_and_the_running_one_the_latest_session(filled: Database) -> None:
    weeks = seen(filled, "weekly_kline_qfq")
    assert set(weeks["trade_date"]) == {dt.date(2026, 10, d) for d in (9, 16, 22, 30)} | {SESSIONS[-1]}
    assert set(weeks.filter(pl.col("trade_date") == dt.date(2026, 10, 16))["ts_code"]) == set(CODES)
    assert SESSIONS[-1].weekday() < 4, "the last session is no Friday"


def test_a_day_without_any_factor_makes_its_week_null_and_no_splice(filled: Database) -> None:
    with filled.connect() as connection:
        connection.execute("DELETE FROM adj_factor WHERE trade_date < '2026-10-14'")
    week = seen(filled, "weekly_kline_hfq", "ts_code = '600000.SH' AND trade_date = '2026-10-16'").row(0, named=True)
    assert {name for name, value in week.items() if value is None} == {"open", "high", "low", "pre_close", "change", "pct_chg"}


def test_a_delisted_code_ends_at_its_own_latest_factor(filled: Database) -> None:
    gone = dt.date(2026, 10, 20)
    with filled.connect() as connection:
        connection.execute("DELETE FROM daily_kline WHERE ts_code = '920001.BJ' AND trade_date >= %s", (gone,))
        connection.execute("DELETE FROM adj_factor WHERE ts_code = '920001.BJ' AND trade_date >= %s", (gone,))
        listing = "INSERT INTO stock_list (ts_code, list_status, delist_date, source) VALUES ('920001.BJ', 'D', %s, 'tushare')"
        connection.execute(listing, (gone,))
    bars, factors = (read_sql(filled, f"SELECT * FROM {table}") for table in ("daily_kline", "adj_factor"))
    same(
        seen(filled, "daily_kline_qfq").select("ts_code", "trade_date", "close"),
        adjust(bars, factors, "qfq").select("ts_code", "trade_date", "close"),
    )


def test_columns_are_the_k_line_s_and_the_comment_is_in_both_languages(warehouse: Database) -> None:
    for view in VIEWS:
        frame = read_sql(warehouse, f"SELECT * FROM {view}")
        assert dict(frame.schema) == {column.name: column.type.polars for column in KLINE}
        comment = read_sql(warehouse, f"SELECT obj_description('{view}'::regclass)").item()
        assert "复权" in comment
        assert "adj_factor" in comment or "latest factor" in comment


def test_making_them_again_changes_nothing(filled: Database) -> None:
    before = seen(filled, "weekly_kline_qfq")
    with filled.connect() as connection:
        views.create_views(connection)
    assert seen(filled, "weekly_kline_qfq").equals(before)


@pytest.mark.parametrize("where", ["ts_code = '600000.SH'", "trade_date = '2026-10-16'"])
def test_a_condition_reaches_the_indexes(filled: Database, where: str) -> None:
    """Sequential scans off: where one is left, no index could be used at all."""
    with filled.connect() as connection:
        connection.execute("SET enable_seqscan = off")
        for view in VIEWS:
            rows = connection.execute(f"EXPLAIN (COSTS off) SELECT * FROM {view} WHERE {where}")
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan" not in plan
            bars = plan[plan.index("on daily_kline bar") :].splitlines()[1]
            assert "Cond" in bars, plan
