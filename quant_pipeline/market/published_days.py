"""Which days of a published calendar cannot be believed: a source's answer is one word against the built-in calendar, the
bars that are stored, and what the exchange never does.

A calendar that is believed blindly stops everything at once: with every day closed no session is the latest one, and nothing
can be synced, the calendar itself least of all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from quant_pipeline.language import marked, told

if TYPE_CHECKING:
    from quant_pipeline.market.calendar import Calendar

MOST_CLOSURES = 10
"""So many sessions of a year may be published as closed after all: holidays that are made longer (2020-01-31)."""
LONGEST_BREAK = dt.timedelta(days=21)
"""The exchange never stayed closed for longer (1999: from February 9 to March 1)."""
_NEVER = frozenset({(1, 1), (5, 1), (10, 1), (10, 2)})
"""Holidays by law, month and day: no session of any year since 1991 lies on one."""


def doubtful_days(
    builtin: Calendar,
    published: Mapping[dt.date, bool],
    *,
    today: dt.date,
    traded: Collection[dt.date] = (),
    accepted: Collection[dt.date] = (),
) -> dict[dt.date, str]:
    """The published days (day -> open?) that are not believed, and why.

    `traded`: days of which bars are stored · `accepted`: closures that were believed while they lay ahead, and still are in
    their own year.
    """
    known = {day: is_open for day, is_open in published.items() if builtin.first <= day <= builtin.last}
    later = {day: is_open for day, is_open in published.items() if day > builtin.last}
    return dict(sorted([*_within(builtin, known, today, traded, accepted), *_beyond(builtin, later, traded)]))


def differing_days(builtin: Calendar, published: Mapping[dt.date, bool]) -> list[dt.date]:
    """The days for which it matters whether bars are stored: those that are told otherwise, or that only `published` has."""
    return [
        day
        for day, is_open in published.items()
        if day > builtin.last or (day >= builtin.first and is_open != builtin.is_session(day))
    ]


def _within(
    builtin: Calendar,
    published: Mapping[dt.date, bool],
    today: dt.date,
    traded: Collection[dt.date],
    accepted: Collection[dt.date],
) -> Iterator[tuple[dt.date, str]]:
    closures: dict[int, list[dt.date]] = {}
    for day, is_open in published.items():
        if is_open == builtin.is_session(day):
            continue
        if is_open:
            if day not in traded:
                yield day, marked("told open, but the exchange is closed that day")
        elif day in traded:
            yield day, marked("told closed, but bars of that day are stored")
        elif day >= today or (day.year == today.year and day in accepted):
            closures.setdefault(day.year, []).append(day)
        else:
            yield day, marked("told closed, but it was a session")
    for days in closures.values():
        if len(days) > MOST_CLOSURES:
            yield from ((day, told("told closed, with {count} more sessions of its year", count=len(days) - 1)) for day in days)


def _beyond(builtin: Calendar, published: Mapping[dt.date, bool], traded: Collection[dt.date]) -> Iterator[tuple[dt.date, str]]:
    for day, is_open in published.items():
        if is_open and day not in traded and (day.weekday() >= 5 or (day.month, day.day) in _NEVER):
            yield day, marked("told open, but the exchange is closed on such days")
        elif not is_open and day in traded:
            yield day, marked("told closed, but bars of that day are stored")
    sessions = [builtin.sessions[-1], *sorted(day for day, is_open in published.items() if is_open or day in traded)]
    end = max(published, default=builtin.last) + dt.timedelta(days=1)
    for before, after in pairwise([*sessions, end]):
        if after - before > LONGEST_BREAK:
            first = max(before, builtin.last) + dt.timedelta(days=1)
            days = sorted(day for day in published if first <= day < after)
            yield from ((day, told("told closed, with every day from {first} on", first=first)) for day in days)
