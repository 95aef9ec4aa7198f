"""Which days of a published calendar are not believed: against the built-in one, the stored bars, and common sense."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.published_days import LONGEST_BREAK, MOST_CLOSURES, differing_days, doubtful_days
from quant_pipeline.market.xshg import xshg

CALENDAR = Calendar([day for day in xshg().sessions if day.year <= 2026], last=dt.date(2026, 12, 31))
TODAY = dt.date(2026, 11, 20)
NEXT_YEAR = [dt.date(2027, 1, 1) + dt.timedelta(days=n) for n in range(365)]
HOLIDAYS = {dt.date(2027, 1, 1), dt.date(2027, 10, 1), *(dt.date(2027, 2, 5) + dt.timedelta(days=n) for n in range(9))}
AHEAD = CALENDAR.between(TODAY, CALENDAR.last)


def true_days(*changes: tuple[dt.date, bool]) -> dict[dt.date, bool]:
    """What the exchange publishes: every day from the first to the end of 2027, with these changes."""
    days = (CALENDAR.first + dt.timedelta(days=n) for n in range((CALENDAR.last - CALENDAR.first).days + 1))
    known = {day: CALENDAR.is_session(day) for day in days}
    return known | {day: day.weekday() < 5 and day not in HOLIDAYS for day in NEXT_YEAR} | dict(changes)


def doubted(
    published: dict[dt.date, bool], *, traded: Iterable[dt.date] = (), accepted: Iterable[dt.date] = ()
) -> set[dt.date]:
    return set(doubtful_days(CALENDAR, published, today=TODAY, traded=set(traded), accepted=set(accepted)))


def test_what_is_true_is_believed() -> None:
    assert doubted(true_days()) == set()
    assert doubted({}) == set()


SESSION, HOLIDAY, SUNDAY = dt.date(2026, 11, 12), dt.date(2026, 10, 1), dt.date(2026, 11, 15)


@pytest.mark.parametrize(
    ("day", "is_open"),
    [(SESSION, False), (HOLIDAY, True), (SUNDAY, True), (dt.date(2015, 6, 3), False), (dt.date(2026, 12, 27), True)],
)
def test_a_past_session_told_closed_and_a_closed_day_told_open_are_not(day: dt.date, is_open: bool) -> None:
    assert doubted(true_days((day, is_open))) == {day}


def test_stored_bars_say_that_a_day_was_a_session() -> None:
    assert doubted(true_days((SUNDAY, True)), traded=[SUNDAY]) == set()
    assert doubted(true_days((SESSION, False)), traded=[SESSION], accepted=[SESSION]) == {SESSION}
    ahead = AHEAD[0]
    assert doubted(true_days((ahead, False)), traded=[ahead]) == {ahead}
    assert doubted(true_days((dt.date(2027, 3, 2), False)), traded=[dt.date(2027, 3, 2)]) == {dt.date(2027, 3, 2)}


def test_a_holiday_that_is_made_longer_is_believed_while_it_lies_ahead_and_after_it_in_its_own_year() -> None:
    assert doubted(true_days((AHEAD[0], False), (AHEAD[5], False))) == set()
    assert doubted(true_days((SESSION, False)), accepted=[SESSION]) == set()
    former = dt.date(2025, 11, 12)
    assert doubted(true_days((former, False)), accepted=[former]) == {former}, "by then the built-in calendar knows of it"


def test_a_year_with_too_many_closures_is_not() -> None:
    assert doubted(true_days(*((day, False) for day in AHEAD[:MOST_CLOSURES]))) == set()
    assert doubted(true_days(*((day, False) for day in AHEAD[: MOST_CLOSURES + 1]))) == set(AHEAD[: MOST_CLOSURES + 1])


def test_every_day_closed_is_believed_of_no_year() -> None:
    closed = dict.fromkeys(true_days(), False)
    found = doubted(closed, accepted=closed)
    assert found >= set(CALENDAR.sessions)
    assert found >= set(NEXT_YEAR)


def test_past_the_built_in_calendar_week_ends_legal_holidays_and_long_breaks_are_doubted() -> None:
    saturday = dt.date(2027, 3, 6)
    assert doubted(true_days((saturday, True))) == {saturday}
    assert doubted(true_days((dt.date(2027, 1, 1), True))) == {dt.date(2027, 1, 1)}
    first = dt.date(2027, 6, 1)
    month = {first + dt.timedelta(days=n): False for n in range(30)}
    assert doubted(true_days() | month) == {day for day in NEXT_YEAR if first <= day <= dt.date(2027, 6, 30)}
    half = {day: is_open and day < first for day, is_open in true_days().items() if day in NEXT_YEAR}
    assert doubted(true_days() | half) == {day for day in NEXT_YEAR if day >= first}, "closed to the end"


def test_a_calendar_that_ends_within_a_holiday_is_believed() -> None:
    until = {day: is_open for day, is_open in true_days().items() if day <= dt.date(2027, 2, 12)}
    assert doubted(until) == set()


@given(st.sets(st.sampled_from([*CALENDAR.sessions[-300:], *NEXT_YEAR]), max_size=60), st.booleans())
def test_whatever_is_published_the_calendar_stays_of_use(days: set[dt.date], is_open: bool) -> None:
    ruled = CALENDAR.overruled_by(true_days(*((day, is_open) for day in days)), today=TODAY)
    assert ruled.last >= CALENDAR.last
    assert ruled.on_or_before(TODAY) >= TODAY - LONGEST_BREAK
    past = CALENDAR.between(CALENDAR.first, dt.date(2025, 12, 31))
    assert ruled.between(CALENDAR.first, dt.date(2025, 12, 31)) == past
    assert all(day.weekday() < 5 for day in ruled.between(TODAY, ruled.last))


def test_days_that_bars_are_asked_for_are_the_differing_ones_and_the_new_ones() -> None:
    some = {SESSION: False, HOLIDAY: True, TODAY: True, SUNDAY: False, dt.date(2027, 1, 4): True}
    assert differing_days(CALENDAR, some) == [SESSION, HOLIDAY, dt.date(2027, 1, 4)]
