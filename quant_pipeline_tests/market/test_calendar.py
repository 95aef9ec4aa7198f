"""The calendar: the exchange's sessions, never a guess, loud past its end."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.xshg import xshg

CALENDAR = xshg()
days = st.dates(CALENDAR.sessions[0], dt.date(2026, 11, 30))
SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_the_exchanges_own_days() -> None:
    assert CALENDAR.sessions[0] == dt.date(1990, 12, 19)
    assert not CALENDAR.is_session(dt.date(2026, 10, 1)), "National Day"
    assert not CALENDAR.is_session(dt.date(2020, 1, 31)), "the spring festival was made longer in 2020"
    assert not CALENDAR.is_session(dt.date(2026, 11, 22)), "a Sunday"
    assert CALENDAR.is_session(dt.date(2026, 11, 20))
    assert not any(day.weekday() >= 5 for day in CALENDAR.sessions[1000:]), "work Saturdays are no sessions"


@given(days, days)
def test_between_is_every_session_and_only_those(one: dt.date, other: dt.date) -> None:
    start, end = sorted((one, other))
    sessions = CALENDAR.between(start, end)
    assert list(sessions) == sorted(set(sessions))
    assert all(start <= day <= end and CALENDAR.is_session(day) for day in sessions)
    assert (start in sessions) == CALENDAR.is_session(start)


@given(days)
def test_on_or_before_never_leaps_over_a_session(day: dt.date) -> None:
    found = CALENDAR.on_or_before(day)
    assert CALENDAR.between(found, day) == (found,)


@given(days, st.integers(-300, 5))
def test_shift_counts_sessions(day: dt.date, steps: int) -> None:
    session = CALENDAR.on_or_before(day)
    moved = CALENDAR.shift(session, steps)
    start, end = sorted((session, moved))
    apart = len(CALENDAR.between(start, end)) - 1
    assert apart == abs(steps) or moved == CALENDAR.sessions[0]


@given(days)
def test_week_and_month_ends_are_the_last_sessions_of_theirs(day: dt.date) -> None:
    session = CALENDAR.on_or_before(day)
    week, month = CALENDAR.week_end(session), CALENDAR.month_end(session)
    assert week.isocalendar()[:2] == session.isocalendar()[:2]
    assert (month.year, month.month) == (session.year, session.month)
    assert CALENDAR.shift(week, 1).isocalendar()[:2] != session.isocalendar()[:2]
    assert CALENDAR.shift(month, 1).month != session.month
    assert week in CALENDAR.weeks(session, week)
    assert month in CALENDAR.months(session, month)


@pytest.mark.parametrize(
    ("moment", "latest"),
    [
        (dt.datetime(2026, 11, 20, 16, 59), dt.date(2026, 11, 19)),
        (dt.datetime(2026, 11, 20, 17, 0), dt.date(2026, 11, 20)),
        (dt.datetime(2026, 11, 22, 12, 0), dt.date(2026, 11, 20)),
        (dt.datetime(2026, 11, 23, 9, 0), dt.date(2026, 11, 20)),
        (dt.datetime(2026, 10, 7, 20, 0), dt.date(2026, 9, 30)),
    ],
)
def test_the_latest_session_is_the_last_whose_data_are_ready(moment: dt.datetime, latest: dt.date) -> None:
    assert CALENDAR.latest(moment.replace(tzinfo=SHANGHAI)) == latest
    assert CALENDAR.latest(moment.replace(tzinfo=SHANGHAI).astimezone(dt.UTC)) == latest


@pytest.mark.parametrize("ask", [Calendar.is_session, Calendar.on_or_before, Calendar.week_end])
def test_past_its_end_it_says_so(ask: object) -> None:
    with pytest.raises(CalendarError, match="sync trade_calendar"):
        ask(CALENDAR, CALENDAR.last + dt.timedelta(days=1))  # type: ignore[operator]
    with pytest.raises(CalendarError):
        CALENDAR.shift(CALENDAR.sessions[-1], 1)
    with pytest.raises(CalendarError):
        CALENDAR.between(CALENDAR.sessions[-1], CALENDAR.last + dt.timedelta(days=9))


def test_a_day_that_is_no_session_is_named_with_the_one_before() -> None:
    with pytest.raises(CalendarError, match=r"2026-11-22 is not a session.*2026-11-20"):
        CALENDAR.shift(dt.date(2026, 11, 22), 1)


def test_the_published_calendar_overrules_and_extends() -> None:
    closed, opened = dt.date(2026, 11, 23), dt.date(2026, 11, 21)
    new_year = {dt.date(2027, 1, 1) + dt.timedelta(days=n): n in (3, 4) for n in range(10)}
    ruled = CALENDAR.overruled_by({closed: False, opened: True} | new_year, today=dt.date(2026, 11, 20), traded={opened})
    assert not ruled.is_session(closed)
    assert ruled.is_session(opened), "bars of that day are stored"
    assert ruled.doubted == {}
    assert ruled.last == dt.date(2027, 1, 10)
    assert ruled.shift(dt.date(2026, 12, 31), 1) == dt.date(2027, 1, 4)
    assert CALENDAR.is_session(closed), "the built-in one is not changed"


def test_what_cannot_be_believed_changes_nothing_and_is_named() -> None:
    past, saturday, far = dt.date(2015, 6, 3), dt.date(2026, 11, 21), dt.date(2027, 1, 1)
    closed = {far + dt.timedelta(days=n): False for n in range(400)}
    ruled = CALENDAR.overruled_by({past: False, saturday: True} | closed, today=dt.date(2026, 11, 20))
    assert (ruled.sessions, ruled.last) == (CALENDAR.sessions, CALENDAR.last)
    assert set(ruled.doubted) == {past, saturday, *closed}


def test_a_gap_in_the_published_days_ends_the_calendar() -> None:
    island = {CALENDAR.last + dt.timedelta(days=n): True for n in (5, 6)}
    ruled = CALENDAR.overruled_by(island, today=dt.date(2026, 11, 20))
    assert ruled.last == CALENDAR.last
    with pytest.raises(CalendarError):
        ruled.is_session(CALENDAR.last + dt.timedelta(days=5))


def test_it_begins_with_the_first_session_of_the_exchange() -> None:
    first, second = CALENDAR.sessions[:2]
    assert CALENDAR.first == first == dt.date(1990, 12, 19)
    assert CALENDAR.is_session(first)
    with pytest.raises(CalendarError, match="knows 1990-12-19 to"):
        CALENDAR.is_session(dt.date(1990, 12, 18))
    assert (CALENDAR.shift(second, -1), CALENDAR.shift(second, -2)) == (first, first), "clamped"
    assert CALENDAR.window(second, 3) == (first, second)
    assert CALENDAR.window(second, 1) == (second,)
    assert CALENDAR.window(CALENDAR.shift(first, 4), 2) == (CALENDAR.shift(first, 3), CALENDAR.shift(first, 4))
    with pytest.raises(CalendarError, match="no session on or before 1990-12-18: the exchange opened on 1990-12-19"):
        Calendar(CALENDAR.sessions, last=CALENDAR.last, first=dt.date(1990, 1, 1)).on_or_before(dt.date(1990, 12, 18))
    with pytest.raises(CalendarError, match="at least one session"):
        Calendar([], last=CALENDAR.last)


def test_the_last_day_that_it_knows_is_known_and_past_it_the_latest_known_session_is_its_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = Calendar([dt.date(2026, 11, 19), dt.date(2026, 11, 20)], last=dt.date(2026, 11, 20))
    assert short.is_session(short.last)
    for now, known in (("2026-11-20T16:00", 19), ("2026-11-20T17:00", 20), ("2026-11-23T12:00", 20)):
        monkeypatch.setenv("QUANT_NOW", now)
        assert short.latest_known() == dt.date(2026, 11, known)


def test_a_published_day_extends_it_when_it_is_a_session_itself_and_nothing_published_changes_nothing() -> None:
    days = {CALENDAR.last + dt.timedelta(days=n): n == 4 for n in range(1, 5)}
    ruled = CALENDAR.overruled_by(days, today=dt.date(2026, 11, 20))
    assert (ruled.last, ruled.sessions[-1]) == (dt.date(2027, 1, 4), dt.date(2027, 1, 4))
    assert CALENDAR.overruled_by({}) is CALENDAR


def test_a_first_of_the_month_that_is_a_session_is_of_its_own_month() -> None:
    last_of_august, first, last = dt.date(2026, 8, 31), dt.date(2026, 9, 1), dt.date(2026, 9, 30)
    assert CALENDAR.month_end(first) == last
    assert CALENDAR.month_end(last_of_august) == last_of_august
    assert CALENDAR.months(first, last) == (last,)
    assert CALENDAR.months(last_of_august, first) == (last_of_august,)
    assert CALENDAR.month_end(dt.date(2026, 12, 1)) == dt.date(2026, 12, 31)
    assert CALENDAR.weeks(dt.date(2026, 9, 4), dt.date(2026, 9, 11)) == (dt.date(2026, 9, 4), dt.date(2026, 9, 11))


def test_the_clock_can_be_set_and_speaks_exchange_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    assert clock.now() == dt.datetime(2026, 11, 20, 18, tzinfo=SHANGHAI)
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00+00:00")
    assert clock.today() == dt.date(2026, 11, 21)
    monkeypatch.setenv("QUANT_NOW", "tomorrow")
    with pytest.raises(ValueError, match="QUANT_NOW='tomorrow'"):
        clock.now()
    monkeypatch.delenv("QUANT_NOW")
    assert abs(clock.now() - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_today_is_the_one_that_is_given_else_the_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANT_NOW", "2026-11-20T18:00")
    ahead = {dt.date(2026, 11, 23): False}
    assert CALENDAR.overruled_by(ahead).doubted == {}
    assert set(CALENDAR.overruled_by(ahead, today=dt.date(2027, 6, 1)).doubted) == set(ahead), "then it is long past"
