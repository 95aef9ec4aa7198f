"""Which sessions a command is about: those that were asked for, or all that were ever synced."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from quant_pipeline.language import marked, say
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import DATA_READY, FIRST_SESSION, Calendar
from quant_pipeline.warehouse.database import Database

_WEEKDAYS = (
    marked("Monday"),
    marked("Tuesday"),
    marked("Wednesday"),
    marked("Thursday"),
    marked("Friday"),
    marked("Saturday"),
    marked("Sunday"),
)


@dataclass(frozen=True)
class Window:
    """A range of sessions, both ends included."""

    start: dt.date
    end: dt.date


def asked_window(
    calendar: Calendar,
    *,
    start: dt.date | None,
    end: dt.date | None,
    days_back: int | None,
    all_history: bool,
    only_lists: bool = False,
    ready: dt.time = DATA_READY,
) -> Window:
    """The window of `sync`'s options: a range, the last N sessions, or everything; by default the latest session.

    `ready`: when a session's data are there; before the open, the latest session of price limits is today's.

    ValueError when it holds no session, or reaches beyond the latest one. `only_lists`: nothing by session is asked for, so
    that it can be had past the calendar's end too; for anything else that is a CalendarError.
    """
    latest = calendar.latest_known() if only_lists else calendar.latest(ready=ready)
    last = end or latest
    if start is not None and start > last:
        raise ValueError(_backwards(start, end, latest))
    if _to_come(calendar, last, latest):
        raise ValueError(
            say(
                "{last} lies after the latest complete session, {latest} (a session's data are ready at {ready:%H:%M} "
                "Asia/Shanghai)",
                last=last,
                latest=latest,
                ready=ready,
            )
        )
    if last < FIRST_SESSION:
        raise ValueError(before_the_first(last))
    session = calendar.on_or_before(last)
    if all_history:
        return Window(FIRST_SESSION, session)
    if days_back is not None:
        # What is ready before the open has a session more: it begins with the others, so that bars have their factors.
        counted = session if only_lists or end is not None else min(session, calendar.latest())
        return Window(calendar.window(counted, days_back)[0], session)
    sessions = calendar.between(start or session, last)
    if not sessions:
        raise ValueError(
            say(
                "the exchange was closed on every day from {start} to {last}; the session before is {before}",
                start=start,
                last=last,
                before=session,
            )
        )
    return Window(sessions[0], sessions[-1])


def session_of(calendar: Calendar, date: dt.date | None) -> dt.date:
    """The session that `run` ends with: the latest complete one, or the last one up to the day that is asked for.

    ValueError for a day before the first session, or after the latest.
    """
    latest = calendar.latest()
    if date is None:
        return latest
    if date < FIRST_SESSION:
        raise ValueError(before_the_first(date))
    if _to_come(calendar, date, latest):
        raise ValueError(
            say(
                "{date} lies after the latest complete session, {latest} (data are ready at 17:00 Asia/Shanghai)",
                date=date,
                latest=latest,
            )
        )
    return calendar.on_or_before(date)


def taken_instead(calendar: Calendar, date: dt.date | None) -> list[str]:
    """In words, which session `run` takes for a closed day that was asked for."""
    if date is None or calendar.is_session(date):
        return []
    words = {"day": date, "weekday": say(_WEEKDAYS[date.weekday()]), "other": calendar.on_or_before(date)}
    return [say("{day} ({weekday}): the exchange is closed; the session before, {other}, is taken instead", **words)]


def shifted(calendar: Calendar, *, start: dt.date | None, end: dt.date | None) -> list[str]:
    """In words, where a window that was asked for begins or ends on another day: the exchange was closed, or not there yet."""
    if start is not None and end is not None and start > end:
        return []  # refused, as a window that begins after its end
    if start is not None and start >= FIRST_SESSION:
        last = end or max(clock.today(), start)
        if last <= calendar.last and not calendar.between(start, last):
            return []  # refused, as one without a session: the refusal says which was the last
    notes = []
    if start is not None and start < FIRST_SESSION:
        notes.append(say("{start}: the exchange opened on {first}, the first session", start=start, first=FIRST_SESSION))
    for day in (start, end):
        if day is None or not FIRST_SESSION <= day <= calendar.last or calendar.is_session(day):
            continue
        words = {"day": day, "weekday": say(_WEEKDAYS[day.weekday()])}
        if day == end:
            notes.append(say("{day} ({weekday}) is no session: up to {other}", other=calendar.on_or_before(day), **words))
        else:
            after = next((session for session in calendar.sessions if session > day), None)
            notes.append(say("{day} ({weekday}) is no session: from {other} on", other=after, **words))
    return notes


def before_the_first(day: dt.date) -> str:
    """In words: there were no sessions yet."""
    return say("there was no session up to {last}: the exchange opened on {first}", last=day, first=FIRST_SESSION)


def _to_come(calendar: Calendar, day: dt.date, latest: dt.date) -> bool:
    """Whether the session of the day, or of a closed day the one before, is still to come: a Saturday's is Friday's."""
    return day > latest and (day > calendar.last or calendar.on_or_before(day) > latest)


def _backwards(start: dt.date, end: dt.date | None, latest: dt.date) -> str:
    if end is None:
        return say("{start} lies after the latest complete session, {latest}", start=start, latest=latest)
    return say("the window begins after its end: write --start {end} --end {start}", start=start, end=end)


def stored_window(database: Database, calendar: Calendar, *, only_lists: bool = False) -> Window:
    """From the first session that was ever asked for to the latest: what there is to repair, or to try again."""
    with database.connect() as connection:
        row = connection.execute("SELECT min(trade_date) FROM sync_items").fetchone()
    latest = calendar.latest_known() if only_lists else calendar.latest()
    return Window(row[0] if row and row[0] else latest, latest)
