"""What to sync: the runs that a command takes, each with its data sets and window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from quant_pipeline.console.wanted import FIRST_RUN_SESSIONS
from quant_pipeline.console.windows import Window
from quant_pipeline.market.calendar import Calendar
from quant_pipeline.market.dataset import Dataset
from quant_pipeline.market.datasets import (
    INDEX_WEIGHTS,
    MONTHLY_KLINE,
    SOURCED,
    THS_CONCEPTS,
    THS_INDUSTRIES,
    THS_MEMBERS,
    WEEKLY_KLINE,
)
from quant_pipeline.selections import BY_SESSION, DAILY_LISTS, DAILY_SYNC, MONTHLY_SYNC, REFERENCE_SYNC, WEEKLY_SYNC
from quant_pipeline.sources.units import Unit
from quant_pipeline.switches import switched_on
from quant_pipeline.sync.ledger import DONE
from quant_pipeline.sync.periods import labels_of
from quant_pipeline.warehouse.database import Database

FIRST_RUN_EXTRA_SESSIONS = 5
"""Of what no screen or backtest needs (funds, bonds, auctions, hot lists) the first run takes these; `sync` brings the rest."""
_FARTHEST_BACK = 250
"""So many sessions before those that it looks at may a hole reach that `run` fills by itself: a year without a run. What lies
farther back was asked for alone (`run --date`), and is no reason to fetch all the years in between."""
_LOOKED_AT = {"suspensions", "daily_kline", "adj_factor", "daily_basic", "price_limits", "index_daily"}
"""By screens, and by the first backtest, whose benchmark an index is."""
_PAID = {"dividends"}
"""To the holders of the first backtest: of as many sessions, but no screen waits for them."""
_MISSING = f"""
SELECT day.unit FROM unnest(%(units)s::text[]) AS day (unit)
WHERE EXISTS (
    SELECT FROM unnest(%(datasets)s::text[]) AS needed (dataset)
    WHERE NOT EXISTS (
        SELECT FROM sync_items WHERE sync_items.dataset = needed.dataset AND sync_items.unit = day.unit
        AND {DONE}))
ORDER BY 1
"""

_MOST_BOARDS = 0.9
_MEMBERS_ASKED = """
WITH boards AS (SELECT ts_code FROM ths_concepts UNION SELECT ts_code FROM ths_industries)
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT FROM sync_items WHERE dataset = 'ths_members' AND sync_items.ts_code = boards.ts_code
    AND right(unit, 10)::date >= %(since)s)) FROM boards
"""


class Stage(Enum):
    """When a task of `run` has its turn: before all others, with the bars, beside these, for it needs none of them, or as soon
    as they are fetched, for it is judged by them."""

    FIRST = auto()
    MAIN = auto()
    BESIDE = auto()
    LAST = auto()


@dataclass(frozen=True)
class Task:
    """A part of a command that is one run: data sets of one job, and their window. `whole` runs take the screens along."""

    job: str
    datasets: tuple[Dataset, ...]
    window: Window
    whole: bool = False
    stage: Stage = Stage.MAIN


def missing_tasks(database: Database, calendar: Calendar, end: dt.date, *, without: Collection[str] = ()) -> list[Task]:
    """What `run` has to do up to the session `end`: from the first session that lacks something on; empty when nothing does.

    It looks at the last 121 sessions (5 for what no screen or backtest needs), and further back, a year at the most, to the
    last session synced before them, so that months without a run leave no hole. Data sets `without` a source in use are not
    waited for.
    """
    daily = [SOURCED[name] for name in BY_SESSION if name not in without]
    lists = [SOURCED[name] for name in DAILY_LISTS if name not in without]
    screened = [dataset for dataset in daily if dataset.name in _LOOKED_AT]
    paid = [dataset for dataset in daily if dataset.name in _PAID]
    extras = [dataset for dataset in daily if dataset not in (*screened, *paid)]
    stale = bool(_first_missing(database, [Unit.snapshot(calendar.latest())], lists))
    looked_at = _sessions(database, calendar, end, FIRST_RUN_SESSIONS, "daily_kline")
    start = _first_missing(database, looked_at, screened)
    on = switched_on().keys() - {*without}
    boards = _missing_boards(database, calendar, on)
    tasks = []
    if stale and start is not None and THS_MEMBERS in boards:  # whose members are looked up in the lists
        tasks.append(Task(DAILY_SYNC, tuple(lists), Window(end, end), stage=Stage.FIRST))
        lists = []
    if stale or start is not None:
        tasks.append(Task(DAILY_SYNC, (*lists, *screened), Window(start or end, end), whole=True))
    few = _sessions(database, calendar, end, FIRST_RUN_EXTRA_SESSIONS, "etf_daily")
    later: dict[dt.date, list[Dataset]] = {}
    for datasets, sessions in ((paid, looked_at), (extras, few)):
        start = _first_missing(database, sessions, datasets)
        if start is not None:
            later.setdefault(start, []).extend(datasets)
    tasks += [Task(DAILY_SYNC, tuple(of_them), Window(since, end), stage=Stage.LAST) for since, of_them in later.items()]
    for job, periodic in ((WEEKLY_SYNC, (WEEKLY_KLINE,)), (MONTHLY_SYNC, (MONTHLY_KLINE, INDEX_WEIGHTS))):
        first = {}
        for dataset in (each for each in periodic if each.name in on):
            labels = labels_of(dataset, calendar, calendar.window(end, FIRST_RUN_SESSIONS))
            start = _first_missing(database, [Unit.session(label) for label in labels], [dataset])
            if start is not None:
                first[dataset] = start
        if first:
            tasks.append(Task(job, tuple(first), Window(min(first.values()), end), stage=Stage.LAST))
    if boards:
        tasks.append(Task(REFERENCE_SYNC, boards, Window(end, end), stage=Stage.BESIDE))
    return tasks


def _missing_boards(database: Database, calendar: Calendar, on: Collection[str]) -> tuple[Dataset, ...]:
    """THS's boards: their lists once per session, their members, a call for each of some hundred boards, once a week.

    Members are there when nine of ten boards were asked for: one that fails does not bring all of them again every day.
    """
    latest = calendar.latest()
    lists = [dataset for dataset in (THS_CONCEPTS, THS_INDUSTRIES) if dataset.name in on]
    stale = bool(lists) and bool(_first_missing(database, [Unit.snapshot(latest)], lists))
    since = latest - dt.timedelta(days=latest.weekday())
    with database.connect() as connection:
        known, asked = connection.execute(_MEMBERS_ASKED, {"since": since}).fetchall()[0]
    wanted = THS_MEMBERS.name in on and asked < _MOST_BOARDS * known if known else THS_MEMBERS.name in on and stale
    return (*(lists if stale else ()), *((THS_MEMBERS,) if wanted else ()))


def asked_tasks(datasets: Sequence[Dataset], windows: Mapping[str, Window]) -> list[Task]:
    """The runs that these data sets take, each for its window (by name): one per job and window."""
    job_of = dict.fromkeys((*DAILY_LISTS, *BY_SESSION), DAILY_SYNC)
    job_of |= {WEEKLY_KLINE.name: WEEKLY_SYNC, MONTHLY_KLINE.name: MONTHLY_SYNC}
    job_of[INDEX_WEIGHTS.name] = MONTHLY_SYNC
    runs: dict[tuple[str, Window], list[Dataset]] = {}
    for dataset in datasets:
        run = (job_of.get(dataset.name, REFERENCE_SYNC), windows[dataset.name])
        runs.setdefault(run, []).append(dataset)
    return [Task(job, tuple(of_run), window) for (job, window), of_run in runs.items()]


def _sessions(database: Database, calendar: Calendar, end: dt.date, count: int, marked_by: str) -> list[Unit]:
    """The last sessions, and further back to the last one before them for which `marked_by` was synced."""
    sessions = calendar.window(end, count)
    reached = _synced_before(database, calendar.window(sessions[0], _FARTHEST_BACK)[0], sessions[0], marked_by)
    return [Unit.session(day) for day in (calendar.between(reached, end) if reached is not None else sessions)]


def _first_missing(database: Database, units: list[Unit], datasets: Sequence[Dataset]) -> dt.date | None:
    values = {"units": [str(unit) for unit in units], "datasets": [dataset.name for dataset in datasets]}
    with database.connect() as connection:
        row = connection.execute(_MISSING, values).fetchone()
    return dt.date.fromisoformat(row[0]) if row else None


def _synced_before(database: Database, since: dt.date, session: dt.date, dataset: str) -> dt.date | None:
    query = (
        "SELECT max(trade_date) FROM sync_items "
        "WHERE status = 'success' AND trade_date >= %s AND trade_date < %s AND dataset = %s"
    )
    with database.connect() as connection:
        row = connection.execute(query, (since, session, dataset)).fetchone()
    return row[0] if row else None
