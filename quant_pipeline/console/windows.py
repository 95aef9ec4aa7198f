"""Which sessions a command is about: those that were asked for, or all that were ever synced."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from quant_pipeline.market.calendar import DATA_READY, FIRST_SESSION, Calendar
from quant_pipeline.warehouse.database import Database


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
    if last > latest:
        raise ValueError(f"{last} lies after the latest complete session, {latest}")
    session = calendar.on_or_before(last)
    if all_history:
        return Window(FIRST_SESSION, session)
    if days_back is not None:
        return Window(calendar.window(session, days_back)[0], session)
    sessions = calendar.between(start or session, last)
    if not sessions:
        raise ValueError(f"the exchange was closed on every day from {start} to {last}. 所选日期均休市")
    return Window(sessions[0], sessions[-1])


def stored_window(database: Database, calendar: Calendar, *, only_lists: bool = False) -> Window:
    """From the first session that was ever asked for to the latest: what there is to repair, or to try again."""
    with database.connect() as connection:
        row = connection.execute("SELECT min(trade_date) FROM sync_items").fetchone()
    latest = calendar.latest_known() if only_lists else calendar.latest()
    return Window(row[0] if row and row[0] else latest, latest)
