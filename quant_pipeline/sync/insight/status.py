"""How far each data set is synced, what lacks in between, and how old its last good data are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Any

from psycopg import sql

from quant_pipeline.language import marked_many, say, say_many
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar, CalendarError
from quant_pipeline.market.dataset import Dataset, Partition
from quant_pipeline.market.datasets import FACTORS, SOURCED
from quant_pipeline.sync.insight.running import RunningSync, running_on
from quant_pipeline.sync.ledger import DONE
from quant_pipeline.sync.periods import LIST_MAY_BE_OLD, closed_labels
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.errors import Connection
from quant_pipeline.warehouse.rows import rows_of

# A list's units are named by the session as of which it was asked for: a later answer replaces an earlier failure.
_SYNCED = f"""
SELECT dataset, CASE WHEN dataset = ANY(%(lists)s) THEN right(unit, 10)::date ELSE trade_date END AS label,
       max(finished_at) AS synced_at
FROM sync_items WHERE {DONE} GROUP BY 1, 2 ORDER BY 2
"""
_FAILED = f"""
SELECT dataset, count(*) AS failed FROM (
    SELECT DISTINCT ON (dataset, part) dataset, status, error_class FROM (
        SELECT dataset, status, error_class, finished_at,
               CASE WHEN dataset = ANY(%(lists)s) THEN coalesce(ts_code, '') ELSE unit END AS part
        FROM sync_items
    ) AS item
    ORDER BY dataset, part, finished_at DESC
) AS last
WHERE NOT {DONE} GROUP BY dataset
"""
_STORED = (
    "SELECT {name} AS dataset, count(*) AS rows, coalesce(string_agg(DISTINCT source, ',' ORDER BY source), '') AS sources "
    "FROM {table} WHERE {condition}"
)
_OF_SESSIONS = marked_many("last good data of {last}, {count} session old", "last good data of {last}, {count} sessions old")
_BEHIND = {
    Partition.SNAPSHOT: _OF_SESSIONS,
    Partition.SESSION: _OF_SESSIONS,
    Partition.WEEK: marked_many("last good data of {last}, {count} week old", "last good data of {last}, {count} weeks old"),
    Partition.MONTH: marked_many("last good data of {last}, {count} month old", "last good data of {last}, {count} months old"),
}


BRING = "quant-pipeline run"
"""The command that fetches what came since the last sync, of every data set in turn; what its runs name as their trigger."""
RETRY = "quant-pipeline sync --retry-failed"


class Standing(StrEnum):
    """How a data set stands, in a word."""

    CURRENT = "current"
    STALE = "stale"
    NEVER = "never"
    """Nothing of it was ever synced whole."""
    FILLING = "filling"
    """Behind, and the sync that is going on is at it."""
    AWAITED = "awaited"
    """Never synced, and its turn in the sync that is going on is still to come."""
    OFF = "off"


@dataclass(frozen=True)
class DatasetStatus:
    """Where a data set stands.

    `first`, `last`: sessions (last sessions of weeks and months) that were synced whole; of lists, that are replaced by each
    sync, `last` is as of when, and `first` is None · `rows`, `sources`: of the last one (of a list: all) · `synced_at`: when
    one was last synced whole, which single codes do not do · `missing`: how many sessions, weeks or months in between were
    never synced, `gaps` from when to when · `failed`: units whose last attempt failed · `behind`: how many sessions (closed
    weeks, closed months) that are due came after `last`; None where that cannot be said · `words`: all this in a sentence.

    Factors are missing from the first session on that their bars have. What is switched off misses nothing, and fails nothing.
    """

    dataset: str
    zh: str
    partition: str
    first: dt.date | None
    last: dt.date | None
    missing: int
    gaps: tuple[tuple[dt.date, dt.date], ...]
    rows: int
    sources: tuple[str, ...]
    synced_at: dt.datetime | None
    failed: int
    behind: int | None
    stale: bool
    words: str
    standing: Standing = Standing.CURRENT

    @property
    def fill(self) -> str:
        """The command that fetches what is missing in between; "" where nothing is."""
        if not self.gaps:
            return ""
        return f"quant-pipeline sync --datasets {self.dataset} --start {self.gaps[0][0]} --end {self.gaps[-1][1]}"


@dataclass(frozen=True)
class Status:
    """Where the platform stands at the moment `at`; `latest` is the latest complete session (None past the calendar's end)."""

    at: dt.datetime
    latest: dt.date | None
    running: tuple[RunningSync, ...]
    datasets: tuple[DatasetStatus, ...]

    @property
    def late(self) -> list[DatasetStatus]:
        """Those that are behind, or were never synced, and that no sync is bringing just now."""
        return [each for each in self.datasets if each.standing in (Standing.STALE, Standing.NEVER)]

    @property
    def coming(self) -> list[DatasetStatus]:
        """Those that the sync which is going on is still bringing."""
        return [each for each in self.datasets if each.standing in (Standing.FILLING, Standing.AWAITED)]

    @property
    def with_gaps(self) -> list[DatasetStatus]:
        """Those that miss something between their first and their last session."""
        return [each for each in self.datasets if each.missing]

    @property
    def with_failures(self) -> list[DatasetStatus]:
        return [each for each in self.datasets if each.failed]

    @property
    def whole(self) -> bool:
        """Whether everything is synced up to now, and nothing lacks or failed."""
        return not (self.late or self.coming or self.with_gaps or self.with_failures)


def status_of(database: Database, calendar: Calendar, *, off: Collection[str] = ()) -> Status:
    """The status of every data set that has a source, and the syncs that are going on. Those in `off` are never stale."""
    lists = {"lists": [dataset.name for dataset in SOURCED.values() if not dataset.dated]}
    labels: dict[str, list[dt.date]] = {}
    synced_at: dict[str, dt.datetime] = {}
    in_parts: set[str] = set()
    with database.connect() as connection:
        for row in rows_of(connection, _SYNCED, lists):
            name, at = row["dataset"], row["synced_at"]
            if row["label"] is None:
                in_parts.add(name)
                continue
            synced_at[name] = max(synced_at.get(name, at), at)
            labels.setdefault(name, []).append(row["label"])
        failed = {row["dataset"]: row["failed"] for row in rows_of(connection, _FAILED, lists)}
        stored = _stored(connection, {name: days[-1] for name, days in labels.items() if name in SOURCED})
        syncs = tuple(running_on(connection))
    return Status(
        at=clock.now(),
        latest=_latest(calendar),
        running=syncs,
        datasets=tuple(
            _status(
                dataset,
                calendar,
                labels.get(name, []),
                owed=labels.get(FACTORS[name].name, []) if name in FACTORS else [],
                stored=stored.get(name, {"rows": 0, "sources": ""}),
                synced_at=synced_at.get(name),
                in_parts=name in in_parts,
                failed=failed.get(name, 0),
                off=name in off,
                syncs=syncs,
            )
            for name, dataset in SOURCED.items()
        ),
    )


def _status(
    dataset: Dataset,
    calendar: Calendar,
    labels: Sequence[dt.date],
    *,
    owed: Sequence[dt.date],
    stored: Mapping[str, Any],
    synced_at: dt.datetime | None,
    in_parts: bool,
    failed: int,
    off: bool,
    syncs: Sequence[RunningSync],
) -> DatasetStatus:
    missing, gaps = (0, ()) if off else _missing(dataset, calendar, labels, owed)
    behind, stale, words = _age(dataset, calendar, labels[-1] if labels else None, in_parts=in_parts)
    found = DatasetStatus(
        dataset=dataset.name,
        zh=dataset.zh,
        partition=dataset.partition.value,
        first=labels[0] if labels and dataset.dated else None,
        last=labels[-1] if labels else None,
        missing=missing,
        gaps=gaps,
        rows=stored["rows"],
        sources=tuple(stored["sources"].split(",")) if stored["sources"] else (),
        synced_at=synced_at,
        failed=0 if off else failed,
        behind=behind,
        stale=stale and not off,
        words=say("switched off (QUANT_WITHOUT); {words}", words=words) if off else words,
    )
    return replace(found, standing=Standing.OFF if off else _standing(found, syncs))


def _standing(status: DatasetStatus, syncs: Sequence[RunningSync]) -> Standing:
    if not status.stale:
        return Standing.CURRENT
    if any(sync.dataset == status.dataset for sync in syncs):
        return Standing.FILLING
    if status.last is not None:
        return Standing.STALE
    return Standing.AWAITED if any(sync.trigger == BRING for sync in syncs) else Standing.NEVER


def _missing(
    dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date], owed: Sequence[dt.date]
) -> tuple[int, tuple[tuple[dt.date, dt.date], ...]]:
    """How many labels were never synced, and from when to when: of those between the first and the last, and of those that
    are `owed` before the first."""
    if not dataset.dated or not labels:
        return 0, ()
    before = [label for label in owed if label < labels[0]]
    there = set(labels)
    stretches = groupby([*before, *closed_labels(dataset, calendar, labels[0], labels[-1])], there.__contains__)
    gaps = [list(stretch) for whole, stretch in stretches if not whole]
    return sum(map(len, gaps)), tuple((gap[0], gap[-1]) for gap in gaps)


def _age(dataset: Dataset, calendar: Calendar, last: dt.date | None, *, in_parts: bool) -> tuple[int | None, bool, str]:
    """How far behind, whether that is too far, and in words."""
    if last is None:
        return None, True, say("only single codes are synced") if in_parts else say("nothing is synced yet")
    try:
        latest = calendar.latest()  # the last complete session: what is ready in the morning is fetched with the rest
        behind = len(closed_labels(dataset, calendar, last + dt.timedelta(days=1), latest))
    except CalendarError as error:
        return None, True, say("last good data of {last}; {error}", last=last, error=error)
    if behind == 0:
        return 0, False, say("synced up to {last}", last=last)
    stale = behind > (0 if dataset.dated else LIST_MAY_BE_OLD)
    one, many = _BEHIND[dataset.partition]
    words = say_many(one, many, behind, last=last)
    return behind, stale, say("{words}: readers keep them", words=words) if stale else words


def _latest(calendar: Calendar) -> dt.date | None:
    try:
        return calendar.latest()
    except CalendarError:
        return None


def _stored(connection: Connection, last: Mapping[str, dt.date]) -> dict[str, dict[str, Any]]:
    """Rows and sources of each data set's last session (of a list: all of them), as the tables have them."""
    queries = [_stored_query(SOURCED[name], day) for name, day in last.items()]
    if not queries:
        return {}
    return {row["dataset"]: row for row in rows_of(connection, sql.SQL(" UNION ALL ").join(queries).as_string())}


def _stored_query(dataset: Dataset, last: dt.date) -> sql.Composed:
    condition = sql.SQL("trade_date = {}").format(last) if dataset.dated else sql.SQL("true")
    return sql.SQL(_STORED).format(name=sql.Literal(dataset.name), table=sql.Identifier(dataset.name), condition=condition)
