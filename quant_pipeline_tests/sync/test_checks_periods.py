"""Weekly and monthly bars: one per code and period, and what the daily bars give."""

from __future__ import annotations

import datetime as dt
import itertools

import polars as pl
import pytest

from quant_pipeline.market.datasets import DAILY_KLINE, MONTHLY_KLINE, WEEKLY_KLINE
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.sync.stored import LATEST, NOW, bars, execute, judged, sessions, store

CODES = ["600000.SH", "300001.SZ", "920001.BJ"]
WEEK = dt.date(2026, 11, 13)
WEEKS = (WEEK, LATEST)
OCTOBER = dt.date(2026, 10, 30)
DAYS = sessions(35)
"""From the first sessions of October on: all of its sessions, and November's."""


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", NOW)


def as_reckoned_by_hand(daily: pl.DataFrame, every: str) -> pl.DataFrame:
    """The periods' bars, without ex-dates: the first open, the highest high, …, pre_close of the first session."""
    return (
        daily.sort("ts_code", "trade_date")
        .group_by("ts_code", pl.col("trade_date").dt.truncate(every).alias("period"), maintain_order=True)
        .agg(
            pl.col("trade_date", "close").last(),
            pl.col("open", "pre_close").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("vol", "amount").sum(),
        )
    )


@pytest.fixture
def periods(warehouse: Database) -> Database:
    """Daily bars of October and November 2026, and the weekly and monthly ones that they give."""
    assert DAYS[0] <= dt.date(2026, 10, 9), "the first session after the holidays"
    daily = bars(CODES, DAYS)
    store(warehouse, DAILY_KLINE, daily)
    whole = daily.filter(pl.col("trade_date") >= dt.date(2026, 10, 1))
    store(warehouse, WEEKLY_KLINE, as_reckoned_by_hand(whole, "1w"))
    store(warehouse, MONTHLY_KLINE, as_reckoned_by_hand(whole, "1mo"))
    return warehouse


def test_what_the_daily_bars_give_passes(periods: Database) -> None:
    week, month = (
        judged(periods, WEEKLY_KLINE, "as_daily_bars", WEEKS),
        judged(periods, MONTHLY_KLINE, "as_daily_bars", [OCTOBER]),
    )
    assert (week.passed, week.looked_at) == (True, 6)
    assert (month.passed, month.looked_at) == (True, 3)


def test_a_value_that_the_days_do_not_give_is_named(periods: Database) -> None:
    apart = dict.fromkeys(("open", "close", "high", "low", "pre_close"), 0.02) | {"vol": 3.0, "amount": 3.0}
    for (dataset, label), (field, by) in itertools.product(((WEEKLY_KLINE, WEEK), (MONTHLY_KLINE, OCTOBER)), apart.items()):
        spoil = f"UPDATE {dataset.name} SET {field} = {field} + %s WHERE trade_date = %s AND ts_code = '300001.SZ'"
        execute(periods, spoil, by / 4, label)
        assert judged(periods, dataset, "as_daily_bars", [label]).passed, "rounding"
        execute(periods, spoil, by, label)
        verdict = judged(periods, dataset, "as_daily_bars", [label])
        assert not verdict.passed
        assert verdict.offending.select("ts_code", "trade_date", "field").rows() == [("300001.SZ", label, field)]
        execute(periods, spoil, -1.25 * by, label)


def test_a_period_is_judged_only_where_all_its_sessions_are_stored(periods: Database) -> None:
    execute(periods, "UPDATE weekly_kline SET close = close + 1 WHERE trade_date = %s", WEEK)
    assert not judged(periods, WEEKLY_KLINE, "as_daily_bars", WEEKS).passed
    execute(periods, "DELETE FROM daily_kline WHERE trade_date = %s", dt.date(2026, 11, 11))
    verdict = judged(periods, WEEKLY_KLINE, "as_daily_bars", WEEKS)
    assert (verdict.passed, verdict.looked_at) == (True, 3)


def test_an_ex_date_within_the_week_is_carried_by_pre_close(periods: Database) -> None:
    # ten shares become twenty on Wednesday: the days after it cost half
    halve = "UPDATE daily_kline SET {} WHERE ts_code = '600000.SH' AND trade_date BETWEEN '2026-11-11' AND %s"
    execute(periods, halve.format(", ".join(f"{n} = {n} / 2" for n in ("open", "high", "low", "close", "pre_close"))), WEEK)
    reckoned = "close = close / 2, low = (SELECT min(low) FROM daily_kline AS d WHERE d.ts_code = '600000.SH'"
    execute(
        periods,
        f"UPDATE weekly_kline SET {reckoned} AND d.trade_date BETWEEN '2026-11-09' AND '2026-11-13')"
        " , high = (SELECT max(high) FROM daily_kline AS d WHERE d.ts_code = '600000.SH'"
        " AND d.trade_date BETWEEN '2026-11-09' AND '2026-11-13')"
        " WHERE ts_code = '600000.SH' AND trade_date = %s",
        WEEK,
    )
    verdict = judged(periods, WEEKLY_KLINE, "as_daily_bars", [WEEK])
    assert verdict.offending.select("ts_code", "field").rows() == [("600000.SH", "pre_close")]
    execute(periods, "UPDATE weekly_kline SET pre_close = pre_close / 2 WHERE ts_code = '600000.SH' AND trade_date = %s", WEEK)
    assert judged(periods, WEEKLY_KLINE, "as_daily_bars", [WEEK]).passed


def test_the_running_week_is_judged_up_to_its_label(periods: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-18T18:00")
    running = dt.date(2026, 11, 18)
    execute(periods, "DELETE FROM weekly_kline WHERE trade_date = %s", LATEST)
    execute(periods, "DELETE FROM daily_kline WHERE trade_date > %s", running)
    so_far = bars(CODES, DAYS).filter(pl.col("trade_date").is_between(dt.date(2026, 11, 16), running))
    store(periods, WEEKLY_KLINE, as_reckoned_by_hand(so_far, "1w"))
    verdict = judged(periods, WEEKLY_KLINE, "as_daily_bars", [running])
    assert (verdict.passed, verdict.looked_at) == (True, 3)


@pytest.mark.parametrize(("dataset", "label"), [(WEEKLY_KLINE, WEEK), (MONTHLY_KLINE, OCTOBER)], ids=["week", "month"])
def test_two_bars_of_one_code_and_period_are_named(periods: Database, dataset: object, label: dt.date) -> None:
    assert dataset in (WEEKLY_KLINE, MONTHLY_KLINE)
    verdict = judged(periods, dataset, "one_bar_per_period", [label])
    assert (verdict.passed, verdict.looked_at) == (True, 3)
    earlier = label - dt.timedelta(days=1)
    store(periods, dataset, bars(CODES[:1], [earlier]))
    verdict = judged(periods, dataset, "one_bar_per_period", [label])
    assert not verdict.passed
    assert verdict.offending.select("ts_code", "bars", "labels").rows() == [(CODES[0], 2, f"{earlier}, {label}")]
