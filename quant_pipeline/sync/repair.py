"""Repair: finds what is stored and not right, so that only that is fetched again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Coverage, Dataset
from quant_pipeline.market.datasets import ADJ_FACTOR
from quant_pipeline.sources.units import Unit
from quant_pipeline.sync.checks import Scope, checks_of
from quant_pipeline.sync.checks.completeness import ROW_COUNT
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.sync.roster import Roster
from quant_pipeline.warehouse.database import Database
from quant_pipeline.warehouse.reads import read_sql

_NOT_WHOLE = """
SELECT DISTINCT unit FROM (
    SELECT DISTINCT ON (unit) unit, trade_date, ts_code, status, missing, rejected FROM sync_items
    WHERE dataset = %(dataset)s AND right(unit, 10)::date BETWEEN %(start)s AND %(end)s
    ORDER BY unit, finished_at DESC
) AS last
WHERE status <> 'success' OR missing > 0
"""
_RESTATED = """
SELECT DISTINCT key ->> 'ts_code' AS ts_code FROM row_revisions
WHERE dataset = 'adj_factor' AND former ->> 'adj_factor' IS NOT NULL
  AND (key ->> 'trade_date')::date BETWEEN %(start)s AND %(end)s
  AND replaced_by NOT LIKE 'new code %%' AND replaced_at > now() - interval '40 days'
"""


def _row() -> pl.Schema:
    return pl.Schema({"trade_date": pl.Date, "ts_code": pl.String})


def units(
    database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date], *, by_session: bool
) -> list[Unit]:
    """The sessions that lack rows, had rows refused, or break a check.

    Of factors the first and the last session as well: where the source restated a history, it shows there (`restated`).
    Where no source can be asked by session (`by_session` is False): the codes that lack rows, over the sessions that they lack.
    """
    if not labels:
        return []
    attempts = _not_whole(database, dataset, labels)
    lacking = _lacking(database, dataset, calendar, labels)
    wrong = _failing(database, dataset, calendar, labels)
    if not by_session:
        whole = wrong.filter(pl.col("ts_code").is_null())["trade_date"]
        due = Roster.load(database, dataset, calendar, labels[0], labels[-1]).due(labels)
        rows = pl.concat([lacking, wrong.drop_nulls(), due.filter(pl.col("trade_date").is_in(whole.implode()))])
        spans = rows.group_by("ts_code").agg(first=pl.min("trade_date"), last=pl.max("trade_date"))
        return sorted({Unit.code(*span) for span in spans.iter_rows()} | {unit for unit in attempts if unit.ts_code})
    sessions = (
        set(wrong["trade_date"])
        | set(lacking["trade_date"])
        | {day for unit in attempts for day in _days_of(unit, dataset, calendar)}
    )
    if dataset is ADJ_FACTOR:
        sessions |= {labels[0], labels[-1]}
    return [Unit.session(day) for day in labels if day in sessions]


def restated(database: Database, labels: Sequence[dt.date]) -> list[Unit]:
    """The codes whose factor its source changed of late, over all of the labels: their other sessions changed with it."""
    if not labels:
        return []
    codes = read_sql(database, _RESTATED, {"start": labels[0], "end": labels[-1]})["ts_code"].sort()
    return [Unit.code(code, labels[0], labels[-1]) for code in codes]


def _not_whole(database: Database, dataset: Dataset, labels: Sequence[dt.date]) -> list[Unit]:
    """The units whose last attempt failed, or lacked rows, or had rows refused."""
    window = {"dataset": dataset.name, "start": labels[0], "end": labels[-1]}
    return [Unit.parse(name, snapshot=False) for name in read_sql(database, _NOT_WHOLE, window)["unit"]]


def _days_of(unit: Unit, dataset: Dataset, calendar: Calendar) -> Sequence[dt.date]:
    """The sessions behind an attempt; of one code's only the ends are looked at: what it lacks is counted by session."""
    return labels_of(dataset, calendar, [unit.start]) if unit.ts_code is None else ()


def _lacking(database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date]) -> pl.DataFrame:
    """trade_date, ts_code of the rows that are due and not stored."""
    none = pl.DataFrame(schema=_row())
    if dataset.coverage not in (Coverage.MARKET, Coverage.EVERY):
        return none
    roster = Roster.load(database, dataset, calendar, labels[0], labels[-1])
    parts = [due.filter("missing").select("trade_date", "ts_code") for due in roster.stored(database, labels)]
    return pl.concat([none, *parts])


def _failing(database: Database, dataset: Dataset, calendar: Calendar, labels: Sequence[dt.date]) -> pl.DataFrame:
    """trade_date, ts_code of what a failed check names (null: the whole session); what only lacks is counted elsewhere."""
    scope = Scope(database, dataset, labels, calendar)
    verdicts = [check.judge(scope) for check in checks_of(dataset) if not check.warns and check is not ROW_COUNT]
    named = [verdict.offending for verdict in verdicts if not verdict.passed and "trade_date" in verdict.offending.columns]
    code = [rows.get_column("ts_code", default=pl.Series([None] * rows.height, dtype=pl.String)) for rows in named]
    parts = [rows.select("trade_date").with_columns(ts_code=codes) for rows, codes in zip(named, code, strict=True)]
    return pl.concat([pl.DataFrame(schema=_row()), *parts])
