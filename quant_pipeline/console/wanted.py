"""Widens what Dagster counts to what a command asks for, before the definitions are loaded that are made of it."""

from __future__ import annotations

import datetime as dt

from quant_pipeline import settings
from quant_pipeline.language import say
from quant_pipeline.market.calendar import FIRST_SESSION, Calendar
from quant_pipeline.market.first_wanted import remember, remembered
from quant_pipeline.warehouse.database import Database

FIRST_RUN_SESSIONS = 121
"""The first run takes the latest session and the 120 before it: enough for every moving average that people watch."""
_FIRST_STORED = "SELECT min(trade_date) FROM sync_items WHERE status = 'success'"


def widen(database: Database, calendar: Calendar, asked: dt.date | None = None) -> None:
    """Remembers the first session that is asked for; where nothing is remembered yet, also what the database has.

    ValueError where QUANT_PARTITIONS_START says that nothing so early is wanted.
    """
    current = settings.load()
    if current.partitions_start is not None:
        if asked is not None and max(asked, FIRST_SESSION) < current.partitions_start:
            raise ValueError(
                say(
                    "{asked} lies before QUANT_PARTITIONS_START={start}: set it to an earlier day, or leave it out",
                    asked=asked,
                    start=current.partitions_start,
                )
            )
        return
    first = calendar.window(calendar.latest_known(), FIRST_RUN_SESSIONS)[0]
    if remembered(current) is None:
        with database.connect() as connection:
            ((stored,),) = connection.execute(_FIRST_STORED).fetchall()
        first = min(first, stored or first)
    remember(current, max(min(first, asked or first), FIRST_SESSION))
