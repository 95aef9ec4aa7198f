"""Sessions of the exchange: the XSHG calendar, overruled by the synced trade_calendar, loud past its end."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Collection, Iterable, Mapping

from quant_pipeline.language import say
from quant_pipeline.market import clock
from quant_pipeline.market.published_days import doubtful_days

FIRST_SESSION = dt.date(1990, 12, 19)
DATA_READY = dt.time(17, 0)
"""When the sources have the day's bars (Tushare: 15-17 h): before it, the latest session is the one before."""


class CalendarError(ValueError):
    """A day about which the calendar cannot speak, or one that is not a session where one is needed."""


class Calendar:
    """An immutable calendar: known days from `first` to `last`, of which some are sessions.

    Every question about a day outside them raises CalendarError: the calendar never guesses.
    """

    def __init__(self, sessions: Iterable[dt.date], *, last: dt.date, first: dt.date = FIRST_SESSION) -> None:
        self.sessions: tuple[dt.date, ...] = tuple(sorted(set(sessions)))
        if not self.sessions:
            raise CalendarError(say("a calendar needs at least one session"))
        self.first, self.last = first, last
        self._set = frozenset(self.sessions)
        self.doubted: Mapping[dt.date, str] = {}
        """Published days that were not believed, and why."""

    def overruled_by(
        self, published: Mapping[dt.date, bool], *, today: dt.date | None = None, traded: Collection[dt.date] = ()
    ) -> Calendar:
        """This calendar with the days that the exchange published (day -> open?) put in the place of its own.

        A published day after `last` extends the calendar only where the days in between are published as well. What cannot
        be believed (see published_days.py) changes nothing, and is named in `doubted`: no stored calendar makes this one
        useless. `traded`: days of which bars are stored · `today`: by default the clock's.
        """
        if not published:
            return self
        closed = [day for day, is_open in published.items() if not is_open]
        doubted = doubtful_days(self, published, today=today or clock.today(), traded=traded, accepted=frozenset(closed))
        sessions = set(self._set)
        for day, is_open in published.items():
            if day not in doubted:
                (sessions.add if is_open else sessions.discard)(day)
        last, lost = self.last, {day for day in doubted if not published[day] and day > self.last}
        while (following := last + dt.timedelta(days=1)) in published and following not in lost:
            last = following
        believed = Calendar((day for day in sessions if day <= last), last=last, first=self.first)
        believed.doubted = doubted
        return believed

    def is_session(self, day: dt.date) -> bool:
        """Whether the exchange trades on that day."""
        self._know(day)
        return day in self._set

    def between(self, start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
        """The sessions from `start` to `end`, both included."""
        self._know(end)
        return self.sessions[bisect.bisect_left(self.sessions, start) : bisect.bisect_right(self.sessions, end)]

    def on_or_before(self, day: dt.date) -> dt.date:
        """That session, or the one before a closed day."""
        self._know(day)
        place = bisect.bisect_right(self.sessions, day)
        if place == 0:
            raise CalendarError(
                say("there was no session on or before {day}: the exchange opened on {first}", day=day, first=self.sessions[0])
            )
        return self.sessions[place - 1]

    def shift(self, session: dt.date, steps: int) -> dt.date:
        """The session `steps` sessions later (earlier, when negative); clamped to the first one."""
        place = self._place(session) + steps
        if place >= len(self.sessions):
            raise CalendarError(
                say(
                    "{steps} sessions after {session} lies past the last known day, {last}",
                    steps=steps,
                    session=session,
                    last=self.last,
                )
            )
        return self.sessions[max(place, 0)]

    def window(self, end: dt.date, count: int) -> tuple[dt.date, ...]:
        """The `count` sessions that end with the session `end` (fewer at the exchange's beginning)."""
        place = self._place(end)
        return self.sessions[max(0, place - count + 1) : place + 1]

    def latest(self, moment: dt.datetime | None = None, *, ready: dt.time = DATA_READY) -> dt.date:
        """The latest session whose data are ready at `moment` (default: now), when they are at the time of day `ready`."""
        at = (moment or clock.now()).astimezone(clock.EXCHANGE_ZONE)
        day = at.date() if at.time() >= ready else at.date() - dt.timedelta(days=1)
        return self.on_or_before(day)

    def latest_known(self) -> dt.date:
        """The latest session; past the calendar's end the last one that it knows, for what needs no session of its own."""
        return self.latest() if clock.today() <= self.last else self.sessions[-1]

    def week_end(self, session: dt.date) -> dt.date:
        """The last session of the session's ISO week."""
        monday = session - dt.timedelta(days=session.weekday())
        return self.between(monday, monday + dt.timedelta(days=6))[-1]

    def month_end(self, session: dt.date) -> dt.date:
        """The last session of the session's month."""
        following = (session.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
        return self.between(session.replace(day=1), following - dt.timedelta(days=1))[-1]

    def weeks(self, start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
        """The last sessions of the weeks whose last session lies from `start` to `end`."""
        return tuple(session for session in self.between(start, end) if self.week_end(session) == session)

    def months(self, start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
        """The last sessions of the months whose last session lies from `start` to `end`."""
        return tuple(session for session in self.between(start, end) if self.month_end(session) == session)

    def _place(self, session: dt.date) -> int:
        if not self.is_session(session):
            before = self.on_or_before(session)
            raise CalendarError(
                say("{date} is not a session of the exchange; the one before is {before}", date=session, before=before)
            )
        return bisect.bisect_left(self.sessions, session)

    def _know(self, day: dt.date) -> None:
        if not self.first <= day <= self.last:
            raise CalendarError(
                say(
                    "the calendar knows {first} to {last}, not {day}: "
                    "sync trade_calendar (quant-pipeline sync --datasets trade_calendar), or upgrade exchange_calendars "
                    "(its new year comes in December)",
                    first=self.first,
                    last=self.last,
                    day=day,
                )
            )
