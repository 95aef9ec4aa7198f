"""Sessions, weeks and months: which labels a data set has, and which sessions stand behind each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset, Partition

LIST_MAY_BE_OLD = 5
"""So many sessions old may a list be: new listings and names come every week."""


def labels_of(dataset: Dataset, calendar: Calendar, sessions: Sequence[dt.date]) -> tuple[dt.date, ...]:
    """The labels of the rows that these sessions belong to: the sessions themselves, or the last session of their week or
    month; of a period that is still running, its latest session whose data are ready."""
    if not dataset.periodic:
        return tuple(sessions)
    latest = calendar.latest(ready=dataset.ready)
    return tuple(dict.fromkeys(min(_end(dataset, calendar, session), max(latest, session)) for session in sessions))


def span_of(dataset: Dataset, calendar: Calendar, label: dt.date) -> tuple[dt.date, ...]:
    """The sessions behind a label: itself, or those of its week or month up to it."""
    match dataset.partition:
        case Partition.WEEK:
            first = label - dt.timedelta(days=label.weekday())
        case Partition.MONTH:
            first = label.replace(day=1)
        case _:
            return (label,)
    return calendar.between(first, label)


def closed_labels(dataset: Dataset, calendar: Calendar, start: dt.date, end: dt.date) -> tuple[dt.date, ...]:
    """The labels from `start` to `end` that must be there: of weeks and months those of the closed ones."""
    match dataset.partition:
        case Partition.WEEK:
            return calendar.weeks(start, end)
        case Partition.MONTH:
            return calendar.months(start, end)
    return calendar.between(start, end)


def _end(dataset: Dataset, calendar: Calendar, session: dt.date) -> dt.date:
    return calendar.week_end(session) if dataset.partition is Partition.WEEK else calendar.month_end(session)
