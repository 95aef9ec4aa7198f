"""Repair: finds what is stored and not right, so that only that is fetched again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.checks import Scope, checks_of
from quant_pipeline.sync.coverage import Due
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read, read_sql

_CHUNK = 250
_NOT_WHOLE = """
SELECT DISTINCT trade_date FROM (
    SELECT DISTINCT ON (unit) trade_date, status, missing, rejected FROM sync_items
    WHERE dataset = %(dataset)s AND trade_date BETWEEN %(start)s AND %(end)s
    ORDER BY unit, finished_at DESC
) AS last
WHERE status = 'failed' OR missing > 0 OR rejected > 0
"""
_RESTATED = """
SELECT DISTINCT key ->> 'ts_code' AS ts_code FROM row_revisions
WHERE dataset = 'adj_factor' AND former ->> 'adj_factor' IS NOT NULL
  AND (key ->> 'trade_date')::date BETWEEN %(start)s AND %(end)s
  AND replaced_at > now() - interval '40 days'
"""


def units(database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date]) -> list[Unit]:
    """The sessions that lack rows, had rows refused, or break a check.

    Of factors the first and the last session as well: where the source restated a history, it shows there (`restated`).
    """
    if not labels:
        return []
    window = {"dataset": dataset.name, "start": labels[0], "end": labels[-1]}
    sessions = set(read_sql(database, _NOT_WHOLE, window)["trade_date"].to_list())
    sessions |= set(_short(database, dataset, calendar, labels)) | set(_failing(database, dataset, calendar, labels))
    if dataset is ADJ_FACTOR:
        sessions |= {labels[0], labels[-1]}
    return [Unit.session(day) for day in labels if day in sessions]


def restated(database: Database, labels: Sequence[dt.date]) -> list[Unit]:
    """The codes whose factor its source changed of late, over all of the labels: their other sessions changed with it."""
    if not labels:
        return []
    codes = read_sql(database, _RESTATED, {"start": labels[0], "end": labels[-1]})["ts_code"].sort()
    return [Unit.code(code, labels[0], labels[-1]) for code in codes]


def _short(database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date]) -> list[dt.date]:
    """The sessions whose count is short of what is due."""
    if dataset.coverage is not Coverage.MARKET:
        return []
    due = Due.load(database, dataset, calendar, labels[0], labels[-1])
    short = []
    for first in range(0, len(labels), _CHUNK):
        part = labels[first : first + _CHUNK]
        rows = read(database, dataset, start=part[0], end=part[-1], columns=["trade_date", "ts_code"])
        by_day = rows.partition_by("trade_date", as_dict=True)
        short += [day for day in part if due.missing(day, by_day.get((day,), rows.clear())["ts_code"])]
    return short


def _failing(database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date]) -> list[dt.date]:
    """The sessions that a failed check names."""
    scope = Scope(database, dataset, labels, calendar)
    verdicts = [check.judge(scope) for check in checks_of(dataset) if not check.warns]
    named = [verdict.offending for verdict in verdicts if not verdict.passed and "trade_date" in verdict.offending.columns]
    return [day for offending in named for day in offending["trade_date"].to_list()]
