"""Sessions of the exchange as Dagster partitions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import dagster as dg

from quant_pipeline.market.calendar import FIRST_SESSION, Calendar
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.xshg import xshg

KEY_FORMAT = "%Y-%m-%d"


def session_partitions(calendar: Calendar) -> dg.TimeWindowPartitionsDefinition:
    """A partition per session of the calendar, from 1990-12-19 on: week-days less the exchange's holidays.

    A session's partition exists from its midnight on (`end_offset=1`); on a week-day holiday the next session's exists as well,
    so schedules ask the calendar, and assets refuse a session whose data cannot exist yet.
    """
    sessions = frozenset(calendar.sessions)
    days = (calendar.first + dt.timedelta(days=n) for n in range((calendar.last - calendar.first).days + 1))
    holidays = [day for day in days if day.weekday() < 5 and day not in sessions]
    return dg.TimeWindowPartitionsDefinition(
        start=FIRST_SESSION.isoformat(),
        fmt=KEY_FORMAT,
        cron_schedule="0 0 * * 1-5",
        timezone=str(EXCHANGE_ZONE),
        exclusions=[dt.datetime.combine(day, dt.time(), EXCHANGE_ZONE) for day in holidays],
        end_offset=1,
    )


SESSIONS = session_partitions(xshg())
"""The partitions of every data set by session. The synced trade_calendar may close a day of them, or open a new year."""


def sessions_of(tags: Mapping[str, str], calendar: Calendar) -> list[dt.date]:
    """The sessions that a run's tags ask for: one partition, or a range of them. Empty for a run without partitions."""
    one = tags.get("dagster/partition")
    first = tags.get("dagster/asset_partition_range_start", one)
    last = tags.get("dagster/asset_partition_range_end", one)
    if first is None or last is None:
        return []
    return list(calendar.between(dt.date.fromisoformat(first), dt.date.fromisoformat(last)))
