"""Which sessions a command is about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from quant_pipeline.market.calendar import FIRST_SESSION, Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import SOURCED
from quant_pipeline.sources.policy import DEFAULT_POLICIES
from quant_pipeline.sources.units import Unit
from quant_pipeline.warehouse.database import Database

FIRST_RUN_SESSIONS = 121
"""The first run takes the latest session and the 120 before it: enough for every moving average that people watch."""
_MISSING = """
SELECT day.unit FROM unnest(%(units)s::text[]) AS day (unit)
WHERE EXISTS (
    SELECT FROM unnest(%(datasets)s::text[]) AS needed (dataset)
    WHERE NOT EXISTS (
        SELECT FROM sync_items WHERE sync_items.dataset = needed.dataset AND sync_items.unit = day.unit
        AND sync_items.status = 'success'))
ORDER BY 1
"""


@dataclass(frozen=True)
class Window:
    """A range of sessions, both ends included."""

    start: dt.date
    end: dt.date


def missing_window(database: Database, calendar: Calendar, end: dt.date) -> Window | None:
    """From the first session that lacks a data set to `end`; None when nothing is missing.

    It looks at the 121 sessions that end with `end`, and further back to the last session synced before them, so that
    months without a run leave no hole.
    """
    by_session = [name for name, dataset in SOURCED.items() if dataset.dated]
    sessions = calendar.window(end, FIRST_RUN_SESSIONS)
    reached = _synced_before(database, sessions[0])
    if reached is not None:
        sessions = calendar.between(reached, end)
    first = _first_missing(database, [Unit.session(day) for day in sessions], by_session)
    lists = [name for name, dataset in SOURCED.items() if not dataset.dated]
    stale_lists = _first_missing(database, [Unit.snapshot(calendar.latest())], lists)
    start = first or (end if stale_lists else None)
    return Window(start, end) if start is not None else None


def asked_window(
    calendar: Calendar,
    *,
    start: dt.date | None,
    end: dt.date | None,
    days_back: int | None,
    all_history: bool,
) -> Window:
    """The window of `sync`'s options: a range, the last N sessions, or everything; by default the latest session.

    CalendarError when it holds no session, or reaches beyond the latest one.
    """
    latest = calendar.latest()
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


PERIODS = {"daily": ["daily_kline", "adj_factor"]}
"""The data sets behind each K-line period."""


def chosen_datasets(names: Sequence[str], periods: Sequence[str]) -> list[Dataset]:
    """The data sets of these names and periods (default: all that have a source), in the order of a sync.

    ValueError names those that do not exist.
    """
    if unknown := [name for name in names if name not in SOURCED]:
        raise ValueError(f"unknown data set: {', '.join(unknown)}. Known: {', '.join(SOURCED)}")
    if unknown := [period for period in periods if period not in PERIODS]:
        raise ValueError(f"unknown period: {', '.join(unknown)}. Known: {', '.join(PERIODS)}")
    chosen = {*names, *(name for period in periods for name in PERIODS[period])}
    return [dataset for name, dataset in SOURCED.items() if not chosen or name in chosen]


def chosen_sources(names: Sequence[str]) -> list[str]:
    """The sources of these names, in that order; ValueError names those that do not exist."""
    if unknown := [name for name in names if name not in DEFAULT_POLICIES]:
        raise ValueError(f"unknown source: {', '.join(unknown)}. Known: {', '.join(DEFAULT_POLICIES)}")
    return list(names)


def _first_missing(database: Database, units: list[Unit], datasets: list[str]) -> dt.date | None:
    values = {"units": [str(unit) for unit in units], "datasets": datasets}
    with database.connect() as connection:
        row = connection.execute(_MISSING, values).fetchone()
    return dt.date.fromisoformat(row[0]) if row else None


def _synced_before(database: Database, session: dt.date) -> dt.date | None:
    query = "SELECT max(trade_date) FROM sync_items WHERE status = 'success' AND trade_date < %s AND dataset = 'daily_kline'"
    with database.connect() as connection:
        row = connection.execute(query, (session,)).fetchone()
    return row[0] if row else None
