"""What is stored of the sessions and codes that somebody asks for, so that nobody takes "not synced" for "nothing happened"."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import polars as pl
from psycopg import sql

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.ledger import DONE
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import bound, read, read_sql

_DONE_SESSIONS = f"""
SELECT DISTINCT trade_date FROM sync_items
WHERE dataset = %(dataset)s AND {DONE} AND unit = ANY(%(units)s) AND trade_date IS NOT NULL
"""
_DONE_OF_CODES = f"SELECT DISTINCT unit FROM sync_items WHERE dataset = %(dataset)s AND {DONE} AND ts_code = ANY(%(codes)s)"
_FIRST_SYNCED = f"""
SELECT min(trade_date) FROM sync_items
WHERE dataset = %(dataset)s AND {DONE} AND ts_code IS NULL AND trade_date <= %(last)s
"""
_FIRST_ROW = "SELECT min(trade_date) FROM {table} WHERE trade_date <= %(last)s"
_FIRST_OF_CODES = f"{_FIRST_ROW} AND ts_code = ANY(%(codes)s)"
_WITH_ROWS = "SELECT DISTINCT ts_code FROM {table} WHERE ts_code = ANY(%(codes)s) AND trade_date <= %(last)s"
_ANY_ROW = "SELECT day FROM unnest(%(days)s::date[]) AS day WHERE EXISTS (SELECT FROM {table} WHERE trade_date = day)"
_COUNTS = "SELECT trade_date, count(*) AS rows FROM {table} WHERE trade_date = ANY(%(days)s) GROUP BY trade_date"


@dataclass(frozen=True)
class Lack:
    """Sessions (labels of weeks, months) that are not stored: of these codes, or (None) of the market."""

    dataset: Dataset
    labels: tuple[dt.date, ...]
    codes: tuple[str, ...] | None


def lacking(
    database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date], codes: Sequence[str] | None
) -> Lack | None:
    """Which of the labels are not stored, of the codes or of the market (None); None: nothing lacks.

    Stored is what a sync brought whole, by session or by code, and what rows are there for all that owe one.
    """
    done = _done(database, dataset, labels)
    left = [label for label in labels if label not in done]
    if not left:
        return None
    if codes is None:
        lost = sorted(set(left) - _whole(database, dataset, calendar, left))
        return Lack(dataset, tuple(lost), None) if lost else None
    by_code = dict(_lost_of_codes(database, dataset, calendar, left, codes))
    lost = sorted({label for labels_of_code in by_code.values() for label in labels_of_code})
    return Lack(dataset, tuple(lost), tuple(by_code)) if lost else None


def stored_since(database: Database, dataset: Dataset, codes: Sequence[str] | None, last: dt.date) -> dt.date | None:
    """The first session (label) up to `last` that is stored, of the codes or of the market (None): one with a row, or, where no
    row is a whole answer, one that was synced. None: nothing is."""
    values = {"dataset": dataset.name, "codes": list(codes or ()), "last": last}
    query = _FIRST_ROW if codes is None else _FIRST_OF_CODES
    firsts = [read_sql(database, query.format(table=dataset.name), values).item()]
    if dataset.coverage is Coverage.ANY:
        firsts.append(read_sql(database, _FIRST_SYNCED, values).item())
        units = read_sql(database, _DONE_OF_CODES, values)["unit"]
        firsts += [start for unit in units if (start := Unit.parse(unit, snapshot=False).start) <= last]
    return min((first for first in firsts if first is not None), default=None)


def silent(database: Database, dataset: Dataset, codes: Collection[str], last: dt.date) -> list[str]:
    """Those of the codes that should have rows and have none up to `last`; none where no row may be a whole answer."""
    if dataset.coverage is Coverage.ANY or not codes:
        return []
    values = {"codes": list(codes), "last": last}
    return sorted(set(codes) - set(read_sql(database, _WITH_ROWS.format(table=dataset.name), values)["ts_code"]))


def first_owed(database: Database, dataset: Dataset, calendar: Calendar, codes: Sequence[str] | None) -> dt.date:
    """From which day on rows are owed: the listing of the first of the codes, or the exchange's first session."""
    if codes is None:
        return calendar.first
    listed = Roster.load(database, dataset, calendar).listed.filter(pl.col("ts_code").is_in(list(codes)))["list_date"].min()
    return listed if isinstance(listed, dt.date) else calendar.first


def unlisted(database: Database, dataset: Dataset, codes: Collection[str]) -> list[str]:
    """Those of the codes that none of the data set's lists names; none where the lists are not synced."""
    if not dataset.universe or not codes:
        return []
    lists = " UNION ALL ".join(f"SELECT ts_code FROM {name}" for name in dataset.universe)
    known = read_sql(
        database,
        f"SELECT ts_code FROM ({lists}) AS listed WHERE ts_code = ANY(%(codes)s) "
        f"UNION ALL (SELECT '' FROM ({lists}) AS listed LIMIT 1)",
        {"codes": list(codes)},
    )["ts_code"]
    return sorted(set(codes) - set(known) - set(dataset.codes)) if len(known) else []


def never_synced(database: Database, dataset: Dataset) -> bool:
    """Whether there is nothing of the data set: no row, and no sync that found none."""
    query = sql.SQL(
        "SELECT NOT EXISTS (SELECT FROM {}) AND NOT EXISTS (SELECT FROM sync_items WHERE dataset = {} AND "
        + DONE
        + ") AS never"
    ).format(sql.Identifier(dataset.name), dataset.name)
    return bool(read_sql(database, query.as_string()).item())


def groups_never_synced(database: Database, dataset: Dataset, groups: Sequence[str]) -> list[str]:
    """Those of the boards whose members no sync has brought."""
    brought = read_sql(database, _DONE_OF_CODES, {"dataset": dataset.name, "codes": list(groups)})["unit"]
    codes = {Unit.parse(unit, snapshot=True).ts_code for unit in brought}
    left = [group for group in groups if group not in codes]
    stored = set(read(database, dataset, codes=left, columns=["ts_code"])["ts_code"]) if left else set[str]()
    return [group for group in left if group not in stored]


def _done(database: Database, dataset: Dataset, labels: Sequence[dt.date]) -> frozenset[dt.date]:
    units = [str(Unit.session(label)) for label in labels]
    return frozenset(read_sql(database, _DONE_SESSIONS, {"dataset": dataset.name, "units": units})["trade_date"])


def _whole(database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date]) -> set[dt.date]:
    """The labels with rows of (nearly) all codes that owe one."""
    if dataset.coverage is Coverage.ANY:
        return set()  # no row is a whole answer there: only a sync's record tells
    counts = dict(read_sql(database, _COUNTS.format(table=dataset.name), {"days": list(labels)}).iter_rows())
    if not dataset.universe:
        return set(counts)
    roster = Roster.load(database, dataset, calendar, min(labels), max(labels))
    whole = set()
    for label, rows in counts.items():
        owed = len(roster.codes(label))
        if owed - rows <= roster.may_lack([label], owed):
            whole.add(label)
    return whole


def _lost_of_codes(
    database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date], codes: Sequence[str]
) -> Iterator[tuple[str, list[dt.date]]]:
    """Of each code the labels under which it owes a row that is neither there nor was looked for."""
    first, last = min(labels), max(labels)
    roster = Roster.load(database, dataset, calendar, first, last)
    lives = set(roster.listed["ts_code"])
    units = read_sql(database, _DONE_OF_CODES, {"dataset": dataset.name, "codes": list(codes)})["unit"]
    asked = [unit for each in units if (unit := Unit.parse(each, snapshot=False)).end >= first]
    rows = read(database, dataset, start=first, end=last, codes=codes, columns=["ts_code", "trade_date"])
    stored = set(rows.iter_rows())
    # Not every code trades in every session of a thin market, or in every week: a session with rows is a session that is there.
    thin = dataset.coverage is Coverage.MOST or dataset.periodic
    there = _with_rows(database, dataset, labels) if thin else set()
    for code in codes:
        due = roster.sessions(code, labels) if code in lives else labels
        lost = [
            day
            for day in due
            if day not in there
            and (code, day) not in stored
            and not any(unit.ts_code == code and unit.start <= day <= unit.end for unit in asked)
        ]
        if lost:
            yield code, lost


def _with_rows(database: Database, dataset: Dataset, labels: Sequence[dt.date]) -> set[dt.date]:
    found: pl.Series = read_sql(database, bound(_ANY_ROW.format(table=dataset.name), {"days": list(labels)}))["day"]
    return set(found)
