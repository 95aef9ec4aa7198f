"""`run` and `sync --retry-failed` with nothing to do: found out, and reported, without Dagster, which takes longer to load than
all of this takes."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from quant_pipeline.console import report, tasks
from quant_pipeline.console.instance import keeps_books_here
from quant_pipeline.console.notes import show_note
from quant_pipeline.console.render import show_total
from quant_pipeline.console.windows import Window, session_of, taken_instead
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import MARKET_OVERVIEW
from quant_pipeline.resources.dagster_private.books import all_made, none_going_on
from quant_pipeline.selections import SCREENS
from quant_pipeline.settings import Settings
from quant_pipeline.sources import registry
from quant_pipeline.sync.ledger import Ledger
from quant_pipeline.sync.slot import SyncSlot
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.presence import Presence

if TYPE_CHECKING:
    from rich.console import Console

OVERVIEW = MARKET_OVERVIEW.name


def nothing_to_do(
    settings: Settings, console: Console, database: Database, calendar: Calendar, *, date: dt.date | None, began: float
) -> report.Report | None:
    """The report of a `run` for which all is synced, screened and told, and no run is left to be ended; None where something
    may be to do: `commands.run` then looks closer. Arguments and errors as it has them.
    """
    session = session_of(calendar, date)
    registry.priorities()  # one that cannot be used is told today, not on the day when there is something to fetch
    if not keeps_books_here():
        return None
    with database.connect() as connection:
        if not all_made(connection, [*SCREENS, OVERVIEW], session.isoformat()):
            return None
    refuse_when_busy(database)
    if tasks.missing_tasks(database, calendar, session):
        return None
    for note in taken_instead(calendar, date):
        show_note(console, note)
    return report.Report(
        settings.mode.value,
        session,
        nothing_to_do=True,
        hits=report.hits(database, session),
        messages=report.messages(database, session, seconds=time.monotonic() - began),
        seconds=time.monotonic() - began,
    )


def nothing_failed(
    settings: Settings, console: Console, database: Database, windows: Mapping[Dataset, Window], *, began: float
) -> report.Report | None:
    """The report of a `sync --retry-failed` for which no unit of the data sets failed at its last attempt within the windows,
    and no run is left to be ended; None where something may be to do: `commands.sync` then looks closer."""
    if not keeps_books_here():
        return None
    with database.connect() as connection:
        if not none_going_on(connection):
            return None
    with closing(Presence(database.connect())) as presence:
        SyncSlot(database, presence).demand_free()
        ledger = Ledger(database, presence)
        for dataset, window in windows.items():
            failed = ledger.failed(dataset)
            if not dataset.dated and failed:
                return None
            if any(window.start <= unit.end and unit.start <= window.end for unit in failed):
                return None
    show_total([], [], console, failed=True)
    session = max(window.end for window in windows.values())
    return report.Report(settings.mode.value, session, nothing_to_do=True, seconds=time.monotonic() - began)


def refuse_when_busy(database: Database) -> None:
    """Raises SyncRunning when another sync holds the slot, before a run is made that could only fail."""
    with closing(Presence(database.connect())) as presence:
        SyncSlot(database, presence).demand_free()
