"""Which sessions a command is about."""

from __future__ import annotations

import datetime as dt

import pytest

from quant_pipeline.console.windows import Window, asked_window, session_of, shifted, stored_window, taken_instead
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.market.xshg import xshg
from quant_pipeline.warehouse.database import Database
from quant_pipeline_tests.console.ledger import record

LATEST = dt.date(2026, 11, 20)
CALENDAR = xshg()


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")


def test_what_there_is_to_repair_begins_with_the_first_session_that_was_asked_for(warehouse: Database) -> None:
    assert stored_window(warehouse, CALENDAR) == Window(LATEST, LATEST)
    record(warehouse, ["daily_kline"], [dt.date(2019, 5, 6)], status="failed")
    assert stored_window(warehouse, CALENDAR) == Window(dt.date(2019, 5, 6), LATEST)


def asked(**options: object) -> Window:
    given = {"start": None, "end": None, "days_back": None, "all_history": False} | options
    return asked_window(CALENDAR, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        ({}, "2026-11-20", "2026-11-20"),
        ({"days_back": 3}, "2026-11-18", "2026-11-20"),
        ({"start": dt.date(2026, 10, 1)}, "2026-10-08", "2026-11-20"),
        ({"start": dt.date(2026, 9, 30), "end": dt.date(2026, 10, 7)}, "2026-09-30", "2026-09-30"),
        ({"end": dt.date(2026, 11, 15)}, "2026-11-13", "2026-11-13"),
        ({"all_history": True}, "1990-12-19", "2026-11-20"),
    ],
)
def test_the_options_become_sessions(options: dict[str, object], start: str, end: str) -> None:
    assert asked(**options) == Window(dt.date.fromisoformat(start), dt.date.fromisoformat(end))


def test_days_to_come_and_spans_of_closed_days_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="2026-11-23 lies after the latest complete session, 2026-11-20"):
        asked(end=dt.date(2026, 11, 23))
    with pytest.raises(ValueError, match="closed on every day"):
        asked(start=dt.date(2026, 10, 1), end=dt.date(2026, 10, 7))
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T10:00")
    with pytest.raises(ValueError, match="latest complete session, 2026-11-19"):
        asked(end=LATEST)


@pytest.mark.parametrize("now", ["2027-01-01T18:00", "2027-01-02T09:00", "2028-06-01T12:00"])
def test_past_the_calendar_s_end_lists_can_be_had_and_all_else_says_what_to_do(
    warehouse: Database, monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    monkeypatch.setenv("QUANT_NOW", now)
    last = Window(CALENDAR.sessions[-1], CALENDAR.sessions[-1])
    assert asked(only_lists=True) == last
    assert stored_window(warehouse, CALENDAR, only_lists=True) == last
    for options in ({}, {"days_back": 5}, {"all_history": True}):
        with pytest.raises(CalendarError, match="quant-pipeline sync --datasets trade_calendar"):
            asked(**options)


def test_what_is_ready_before_the_open_has_today_as_its_latest_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T08:45")
    today, before = dt.date(2026, 11, 20), dt.date(2026, 11, 19)
    assert asked(ready=SOURCED["price_limits"].ready) == asked(ready=SOURCED["suspensions"].ready) == Window(today, today)
    assert asked(ready=SOURCED["daily_kline"].ready) == asked() == Window(before, before)
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T08:39")
    assert asked(ready=SOURCED["price_limits"].ready) == Window(before, before)


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ("2026-11-16", "2026-11-20", []),
        ("2026-11-20", "2026-11-01", []),
        ("2026-11-14", "2026-11-20", ["2026-11-14 (Saturday) is no session: from 2026-11-16 on"]),
        ("2026-11-21", None, []),
        ("2026-11-21", "2026-11-22", []),
        ("2026-09-28", "2026-10-07", ["2026-10-07 (Wednesday) is no session: up to 2026-09-30"]),
        ("1988-01-01", "1991-01-02", ["1988-01-01: the exchange opened on 1990-12-19, the first session"]),
    ],
)
def test_days_that_are_no_sessions_are_told_with_those_that_are_taken(start: str, end: str | None, told: list[str]) -> None:
    last = dt.date.fromisoformat(end) if end else None
    assert shifted(CALENDAR, start=dt.date.fromisoformat(start), end=last) == told


@pytest.mark.parametrize(
    ("day", "session", "told"),
    [
        ("2026-11-20", "2026-11-20", []),
        (
            "2026-10-03",
            "2026-09-30",
            ["2026-10-03 (Saturday): the exchange is closed; the session before, 2026-09-30, is taken instead"],
        ),
        (
            "2026-11-22",
            "2026-11-20",
            ["2026-11-22 (Sunday): the exchange is closed; the session before, 2026-11-20, is taken instead"],
        ),
    ],
)
def test_run_says_which_session_it_takes_for_a_closed_day_this_weekend_s_too(day: str, session: str, told: list[str]) -> None:
    asked_for = dt.date.fromisoformat(day)
    assert (str(session_of(CALENDAR, asked_for)), taken_instead(CALENDAR, asked_for)) == (session, told)
    assert asked(end=asked_for).end == dt.date.fromisoformat(session)


@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-28", "2031-01-01"])
def test_a_day_whose_session_is_to_come_is_refused_closed_or_not(day: str) -> None:
    with pytest.raises(ValueError, match=f"{day} lies after the latest complete session, 2026-11-20"):
        session_of(CALENDAR, dt.date.fromisoformat(day))


def test_a_window_that_ends_before_it_begins_says_what_to_write() -> None:
    with pytest.raises(ValueError, match="write --start 2026-11-10 --end 2026-11-18"):
        asked(start=dt.date(2026, 11, 18), end=dt.date(2026, 11, 10))


def test_the_last_sessions_begin_together_whenever_a_data_set_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Factors of today are there before the open, bars in the evening: each bar has its factor all the same."""
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T10:00")
    windows = [asked(days_back=5, ready=SOURCED[name].ready) for name in ("daily_kline", "adj_factor")]
    assert {window.start for window in windows} == {dt.date(2026, 11, 13)}
    assert [window.end for window in windows] == [dt.date(2026, 11, 19), dt.date(2026, 11, 20)]
