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


def test_ten_closures_of_a_year_are_believed_and_of_eleven_none_and_the_reason_counts_the_others() -> None:
    ten, eleven = (dict.fromkeys(AHEAD[:count], False) for count in (10, 11))
    assert doubtful_days(CALENDAR, ten, today=TODAY) == {}
    told = doubtful_days(CALENDAR, eleven, today=TODAY)
    assert told == dict.fromkeys(AHEAD[:11], "told closed, with 10 more sessions of its year")


def test_a_break_of_three_weeks_is_believed_and_of_a_day_more_it_is_not() -> None:
    before = dt.date(2027, 6, 1)
    three_weeks = {before + dt.timedelta(days=n): False for n in range(1, 21)}
    assert doubted(true_days() | three_weeks) == set()
    longer = three_weeks | {before + dt.timedelta(days=21): False}
    assert doubted(true_days() | longer) == set(longer)
    until = {day: is_open for day, is_open in (true_days() | longer).items() if day < before + dt.timedelta(days=21)}
    assert doubted(until) == set(), "it ends within the break, which may have been over by then"


@pytest.mark.parametrize("day", [dt.date(2029, 1, 1), dt.date(2028, 5, 1), dt.date(2029, 10, 1), dt.date(2028, 10, 2)])
def test_on_a_holiday_by_law_nobody_trades_and_on_the_working_days_about_it_one_may(day: dt.date) -> None:
    def reason(asked: dt.date) -> str | None:
        return doubtful_days(CALENDAR, {asked: True}, today=TODAY).get(asked)

    assert day.weekday() < 5
    assert reason(day) == "told open, but the exchange is closed on such days"
    next_month = (day.replace(day=28) + dt.timedelta(days=4)).replace(day=day.day)
    for other in (day + dt.timedelta(days=2), next_month):
        assert (reason(other) is None) is (other.weekday() < 5)


def test_the_first_and_the_last_day_that_are_known_are_judged_as_the_others() -> None:
    assert doubted({CALENDAR.first: False}) == {CALENDAR.first}
    assert doubted({CALENDAR.last: False}, traded=[CALENDAR.last]) == {CALENDAR.last}
    assert doubted({CALENDAR.first - dt.timedelta(days=1): True}) == set(), "of days before nothing is known"


def test_a_break_that_begins_before_the_known_days_end_is_named_from_their_end_on() -> None:
    short = Calendar([day for day in CALENDAR.sessions if day <= dt.date(2026, 9, 30)], last=dt.date(2026, 10, 7))
    closed = {dt.date(2026, 10, 8) + dt.timedelta(days=n): False for n in range(20)}
    told = doubtful_days(short, closed, today=TODAY)
    assert told == dict.fromkeys(closed, "told closed, with every day from 2026-10-08 on")


def test_bars_are_not_asked_for_of_days_that_are_told_as_they_are_known_or_lie_before_all() -> None:
    first, last = CALENDAR.first, CALENDAR.last
    assert differing_days(CALENDAR, {first: False, last: True, first - dt.timedelta(days=1): True}) == [first]
    assert differing_days(CALENDAR, {last: False, last + dt.timedelta(days=1): False}) == [last, last + dt.timedelta(days=1)]
