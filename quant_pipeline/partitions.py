"""Sessions, weeks and months of the exchange as Dagster partitions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import dagster as dg

from quant_pipeline.market.calendar import FIRST_SESSION, Calendar
from quant_pipeline.market.clock import EXCHANGE_ZONE
from quant_pipeline.market.dataset import Partition
from quant_pipeline.market.first_wanted import first_wanted
from quant_pipeline.market.xshg import xshg

KEY_FORMAT = "%Y-%m-%d"
MONTH_FORMAT = "%Y-%m"
FIRST = max(first_wanted(), FIRST_SESSION)
"""The first session that has a partition, as long as this process lives."""
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def session_partitions(calendar: Calendar) -> dg.TimeWindowPartitionsDefinition:
    """A partition per session of the calendar, from the first that the user wants on: week-days less the exchange's holidays.

    A session's partition exists from its midnight on (`end_offset=1`); on a week-day holiday the next session's exists as well,
    so schedules ask the calendar, and assets refuse a session whose data cannot exist yet.
    """
    first = max(FIRST, calendar.first)
    sessions = frozenset(calendar.sessions)
    days = (first + dt.timedelta(days=n) for n in range((calendar.last - first).days + 1))
    holidays = [day for day in days if day.weekday() < 5 and day not in sessions]
    definition = dg.TimeWindowPartitionsDefinition(
        start=first.isoformat(),
        fmt=KEY_FORMAT,
        cron_schedule="0 0 * * 1-5",
        timezone=str(EXCHANGE_ZONE),
        exclusions=[dt.datetime.combine(day, dt.time(), EXCHANGE_ZONE) for day in holidays],
        end_offset=1,
    )
    vars(definition)["get_partition_keys"] = _KeptKeys(definition)
    return definition


def week_partitions(calendar: Calendar) -> dg.TimeWindowPartitionsDefinition:
    """A partition per week that has a session, the running one included; its key is the week's Monday."""
    first = max(FIRST, calendar.first)
    first -= dt.timedelta(days=first.weekday())
    mondays = (first + dt.timedelta(weeks=n) for n in range((calendar.last - first).days // 7))
    closed = [day for day in mondays if not calendar.between(day, day + dt.timedelta(days=6))]
    return dg.TimeWindowPartitionsDefinition(
        start=first.isoformat(),
        fmt=KEY_FORMAT,
        cron_schedule="0 0 * * 1",
        timezone=str(EXCHANGE_ZONE),
        exclusions=[dt.datetime.combine(day, dt.time(), EXCHANGE_ZONE) for day in closed],
        end_offset=1,
    )


class _KeptKeys:
    """`get_partition_keys` of a definition: worked out once, and again when a partition has been added.

    Dagster wants all keys, 8,700 for the sessions, after each step of checks, only to see that they are many. It counts them
    along the cron schedule, which takes longer than most of our checks. A subclass would not do: Dagster turns such a one into
    its own class whenever it writes it down. It is not part of the definition's identity, nor of what is written down of it.
    """

    def __init__(self, definition: dg.TimeWindowPartitionsDefinition) -> None:
        self._definition = definition
        self._count = definition.get_partition_keys
        self._kept: tuple[str | None, tuple[str, ...]] = (None, ())

    def __call__(self, current_time: dt.datetime | None = None, dynamic_partitions_store: Any = None) -> list[str]:
        if current_time is not None:
            return list(self._count(current_time, dynamic_partitions_store))
        last = self._definition.get_last_partition_key()
        until, keys = self._kept
        if last is None or last != until:
            keys = tuple(self._count(None, dynamic_partitions_store))
            self._kept = (last, keys)
        return list(keys)


SESSIONS = session_partitions(xshg())
"""The partitions of every data set by session. The synced trade_calendar may close a day of them, or open a new year."""
WEEKS = week_partitions(xshg())
"""A partition per week, named by its Monday."""
MONTHS = dg.TimeWindowPartitionsDefinition(
    start=FIRST.strftime(MONTH_FORMAT),
    fmt=MONTH_FORMAT,
    cron_schedule="0 0 1 * *",
    timezone=str(EXCHANGE_ZONE),
    end_offset=1,
)
"""A partition per month: 2026-11."""
PARTITIONS: dict[Partition, dg.TimeWindowPartitionsDefinition | None] = {
    Partition.SNAPSHOT: None,
    Partition.SESSION: SESSIONS,
    Partition.WEEK: WEEKS,
    Partition.MONTH: MONTHS,
}


def key_of(partition: Partition, session: dt.date) -> str:
    """The key of the partition that the session belongs to."""
    match partition:
        case Partition.WEEK:
            return (session - dt.timedelta(days=session.weekday())).isoformat()
        case Partition.MONTH:
            return session.strftime(MONTH_FORMAT)
    return session.isoformat()


def range_tags(partition: Partition, start: dt.date, end: dt.date) -> dict[str, str]:
    """The tags of a run over the partitions of the sessions from `start` to `end`, as far as these are wanted."""
    start = min(max(start, FIRST), end)
    return {_RANGE_START: key_of(partition, start), _RANGE_END: key_of(partition, end)}


def sessions_of(tags: Mapping[str, str], calendar: Calendar, partition: Partition = Partition.SESSION) -> list[dt.date]:
    """The sessions that a run's tags ask for: those of one partition, or of a range of them. Empty for a run without any."""
    one = tags.get("dagster/partition")
    first, last = tags.get(_RANGE_START, one), tags.get(_RANGE_END, one)
    if first is None or last is None:
        return []
    return list(calendar.between(_first_day(first), _last_day(last, partition)))


def asked_sessions(tags: Mapping[str, str], calendar: Calendar, partition: Partition, latest: dt.date) -> list[dt.date]:
    """As `sessions_of`; for a run that names no partition, those of the partition of the session `latest`."""
    named = "dagster/partition" in tags or _RANGE_START in tags
    return sessions_of(tags if named else range_tags(partition, latest, latest), calendar, partition)


def _first_day(key: str) -> dt.date:
    return dt.date.fromisoformat(key if key.count("-") == 2 else f"{key}-01")


def _last_day(key: str, partition: Partition) -> dt.date:
    first = _first_day(key)
    match partition:
        case Partition.WEEK:
            return first + dt.timedelta(days=6)
        case Partition.MONTH:
            return (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    return first
