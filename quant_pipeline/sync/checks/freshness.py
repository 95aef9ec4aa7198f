"""The calendar of what is stored: no row on a closed day or in the future, and none that should have come by now."""

from __future__ import annotations

import datetime as dt

import polars as pl

from quant_pipeline.language import marked, told
from quant_pipeline.market.calendar import CalendarError
from quant_pipeline.market.dataset import Coverage, Partition
from quant_pipeline.sync.checks.base import PAGE, Check, Scope, Verdict
from quant_pipeline.sync.periods import LIST_MAY_BE_OLD, closed_labels
from quant_pipeline.warehouse.reads import read_sql

_DAYS = """
WITH RECURSIVE day AS (
    SELECT min(trade_date) AS trade_date FROM {table}
    UNION ALL
    SELECT (SELECT min(trade_date) FROM {table} WHERE trade_date > day.trade_date) FROM day WHERE day.trade_date IS NOT NULL
)
SELECT trade_date FROM day WHERE trade_date IS NOT NULL
"""
_BEHIND = {
    Partition.SESSION: marked("synced up to {last}, {count} sessions behind"),
    Partition.WEEK: marked("synced up to {last}, {count} weeks behind"),
    Partition.MONTH: marked("synced up to {last}, {count} months behind"),
}


def _no_closed_day(scope: Scope) -> Verdict:
    days = read_sql(scope.database, _DAYS.format(table=scope.dataset.name))
    closed = days.filter(~pl.col("trade_date").is_in(list(scope.calendar.sessions)))
    return Verdict(
        closed.is_empty(), told("{count} closed days have rows", count=closed.height), days.height, closed.head(PAGE)
    )


def _no_future_row(scope: Scope) -> Verdict:
    last, latest = _last(scope), scope.calendar.latest(ready=scope.dataset.ready)
    return Verdict(
        last is None or last <= latest, told("last row: {last}, latest session: {latest}", last=last, latest=latest), 1
    )


def _fresh(scope: Scope) -> Verdict:
    # Where a session may rightly have no row, only the ledger knows that it was asked for.
    last = (None if scope.dataset.coverage is Coverage.ANY else _last(scope)) or _last_synced(scope)
    latest = scope.calendar.latest()  # the last complete session: what is ready in the morning is fetched with the rest
    if last is None:
        return Verdict(False, told("nothing is synced yet; the latest session is {latest}", latest=latest))
    try:
        behind = len(closed_labels(scope.dataset, scope.calendar, last + dt.timedelta(days=1), latest))
    except CalendarError as error:
        return Verdict(False, str(error))
    return Verdict(behind == 0, told(_BEHIND[scope.dataset.partition], last=last, count=behind), 1)


def _fresh_list(scope: Scope) -> Verdict:
    last = _last_synced(scope)
    if last is None:
        return Verdict(False, marked("nothing is synced yet"))
    try:
        age = max(len(scope.calendar.between(last, scope.calendar.latest())) - 1, 0)
    except CalendarError as error:
        return Verdict(False, str(error))
    text = told("last good data of {last}, {count} sessions old", last=last, count=age)
    return Verdict(
        age <= LIST_MAY_BE_OLD, text if age <= LIST_MAY_BE_OLD else told("{words}: readers keep them", words=text), 1
    )


def _last(scope: Scope) -> dt.date | None:
    found: dt.date | None = read_sql(scope.database, f"SELECT max(trade_date) AS last FROM {scope.dataset.name}").item()
    return found


def _last_synced(scope: Scope) -> dt.date | None:
    """The last session that was asked for and answered: every unit's name ends with it."""
    query = "SELECT max(right(unit, 10))::date AS last FROM sync_items WHERE dataset = %(dataset)s AND status <> 'failed'"
    found: dt.date | None = read_sql(scope.database, query, {"dataset": scope.dataset.name}).item()
    return found


NO_CLOSED_DAY = Check("no_closed_day", "休市日无数据", "No row lies on a day when the exchange was closed.", _no_closed_day)
NO_FUTURE_ROW = Check("no_future_row", "无未来数据", "No row is later than the latest session.", _no_future_row)
FRESH = Check("fresh", "数据最新", "The latest session (the last closed week, month) is there.", _fresh, warns=True)
FRESH_LIST = Check(
    "fresh", "数据最新", f"The list was synced within the last {LIST_MAY_BE_OLD} sessions.", _fresh_list, warns=True
)
