"""The paths of the multi-source sync: start one, how it stands, what was, sources, statistics."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from quant_pipeline.door.access import Reached
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer, Listed, PageNumber, PerPage, Tagged
from quant_pipeline.door.rest.launching import Started, start
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.language import chinese
from quant_pipeline.market import clock
from quant_pipeline.market.datasets import DAILY_KLINE, MONTHLY_KLINE, WEEKLY_KLINE

JOB = "stock_basics_multi_source"
_PERIODS = {"daily": DAILY_KLINE, "weekly": WEEKLY_KLINE, "monthly": MONTHLY_KLINE}
_FAILED = ("died", "interrupted")
Period = Literal["daily", "weekly", "monthly"]
Symbol = Annotated[str, Field(pattern=r"^[0-9]{6}(\.(SH|SZ|BJ))?$", examples=["600000"])]
SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", examples=["tushare"])]

router = APIRouter(prefix="/api", tags=["sync"], route_class=Tagged, dependencies=[needs(Scope.READ)], responses=PROBLEMS)


class Trigger(BaseModel):
    """What is to be synced; without anything the latest session of all data sets."""

    force: bool = Field(False, description="Fetch again what is there, and queue behind a running sync.")
    preferred_sources: list[SourceName] = Field([], max_length=16, description="Only these, in their ranking.")
    symbols: list[Symbol] = Field([], max_length=1000, description="Only these codes.")
    periods: list[Period] = Field([], description="Only these K-lines.")
    all_history: bool = Field(False, description="Every session since 1990-12-19.")


class Incremental(BaseModel):
    """The last sessions of some K-lines."""

    days_back: int = Field(30, ge=1, le=10_000, description="So many sessions.")
    periods: list[Period] = []
    data_sources: list[SourceName] = Field([], max_length=16)


class Job(BaseModel):
    job_id: str = Field(description="What `quant-pipeline history --run` and GET /api/sync/history call it.")
    status: str = Field(description="running; success where nothing was to be done.")
    started_at: dt.datetime
    parameters: dict[str, Any]


class SourceCounts(BaseModel):
    inserted: int
    updated: int


class SyncStatus(BaseModel):
    """The latest sync: the one that is going on, or the last one."""

    job: str = JOB
    status: str = Field(description="idle, running, success, success_with_errors or failed.")
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = Field(None, description="null while it runs.")
    total: int = Field(0, description="Units that were planned.")
    inserted: int = 0
    updated: int = 0
    errors: int = 0
    last_trade_date: str | None = Field(None, description="YYYYMMDD: the last session that it brought.")
    data_sources_used: list[str] = Field([], description="data set:source.")
    source_stats: dict[str, SourceCounts] = {}


class SyncRun(BaseModel):
    id: str
    trigger: str
    status: str
    started_at: dt.datetime
    finished_at: dt.datetime | None
    seconds: float
    units: int
    errors: int
    inserted: int
    updated: int
    calls: int
    error: str | None


class SourceStatus(BaseModel):
    name: str
    priority: int = Field(description="1 is asked first, 0 is off.")
    available: bool
    description: str


class PeriodCount(BaseModel):
    count: int
    latest_date: dt.date | None


class PeriodStatistics(BaseModel):
    period_statistics: dict[str, dict[str, PeriodCount]]
    last_updated: dt.datetime | None


@router.post("/sync/trigger", dependencies=[needs(Scope.RUN)])
def trigger(asked: Trigger, access: Reached) -> Answer[Job]:
    """Starts a sync, as `quant-pipeline sync` does. 429 while another one runs, unless `force` queues behind it."""
    options = _listed(symbols=asked.symbols, periods=asked.periods, sources=asked.preferred_sources)
    flags = [flag for flag, on in (("--all-history", asked.all_history), ("--force", asked.force)) if on]
    return job_of(start(access.database, ["sync", *options, *flags]), asked.model_dump())


@router.post("/multi-period-sync/start-incremental", dependencies=[needs(Scope.RUN)])
def start_incremental(asked: Incremental, access: Reached) -> Answer[Job]:
    """Starts a sync of the last sessions of some K-lines (by default of all three)."""
    options = _listed(periods=asked.periods or list(_PERIODS), sources=asked.data_sources)
    return job_of(start(access.database, ["sync", *options, "--days-back", str(asked.days_back)]), asked.model_dump())


@router.get("/sync/status")
def status(access: Reached) -> Answer[SyncStatus]:
    """How the latest sync stands."""
    from quant_pipeline.sync.insight.commands import commands_of
    from quant_pipeline.sync.insight.history import by_command
    from quant_pipeline.sync.insight.origins import origins_of

    latest = commands_of(by_command(access.database, per_page=1))
    if not latest:
        return Answer(data=SyncStatus(status="idle"))
    (row,) = latest
    origins = origins_of(access.database, row["parts"])
    days = [each.latest for each in origins if each.latest is not None]
    counts: dict[str, SourceCounts] = {}
    for each in origins:
        known = counts.setdefault(each.source, SourceCounts(inserted=0, updated=0))
        known.inserted, known.updated = known.inserted + each.inserted, known.updated + each.updated
    return Answer(
        data=SyncStatus(
            status=_told(row["status"]),
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            total=row["units_planned"],
            inserted=row["rows_inserted"],
            updated=row["rows_updated"],
            errors=row["units_failed"],
            last_trade_date=f"{max(days):%Y%m%d}" if days else None,
            data_sources_used=[f"{each.dataset}:{each.source}" for each in origins],
            source_stats=counts,
        )
    )


@router.get("/sync/history")
def history(access: Reached, page: PageNumber = 1, per_page: PerPage = 10) -> Answer[Listed[SyncRun]]:
    """The last syncs, the latest first."""
    from quant_pipeline.sync.insight.commands import commands_of
    from quant_pipeline.sync.insight.history import by_command

    found = by_command(access.database, page=page, per_page=per_page)
    runs = [
        SyncRun(
            id=row["command"],
            trigger=row["trigger"],
            status=_told(row["status"]),
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            seconds=row["seconds"],
            units=row["units_planned"],
            errors=row["units_failed"],
            inserted=row["rows_inserted"],
            updated=row["rows_updated"],
            calls=row["calls"],
            error=row["error"],
        )
        for row in commands_of(found)
    ]
    return Answer(data=Listed(items=runs, page=page, per_page=per_page, total=found.total))


@router.get("/sync/logs")
def logs(
    access: Reached,
    lines: Annotated[int, Query(ge=1, le=1000)] = 100,
    contains: Annotated[str, Query(max_length=100, description="Only lines with this text.")] = "",
) -> Answer[list[str]]:
    """The end of the log file (kept for 30 days; secrets are blotted out in it)."""
    from quant_pipeline import logbook

    return Answer(data=[line for line in logbook.last_lines(access.settings, lines) if contains in line])


@router.get("/sync/multi-source/sources/status")
def sources(access: Reached) -> Answer[list[SourceStatus]]:
    """Every source: its rank, whether it can be asked now, and what it is."""
    from quant_pipeline.resources import upstream
    from quant_pipeline.sources import registry
    from quant_pipeline.sync.insight.health import health_of, open_circuits

    ranks = registry.priorities()
    health = health_of(access.database, registry.policies(access.settings.rate_limits), ranks)
    cut, lacking = {row["source"] for row in open_circuits(health)}, upstream.lacking(access.settings)
    told = []
    for name, kind in registry.registered().sources.items():
        why = lacking.get(name) or ("熔断中，稍后自动重试" if name in cut else "" if ranks[name] else "已关闭（优先级 0）")
        about = (kind.__doc__ or name).strip().splitlines()[0]
        told.append(
            SourceStatus(name=name, priority=ranks[name], available=not why, description=chinese(why) if why else about)
        )
    return Answer(data=sorted(told, key=lambda each: (each.priority == 0, each.priority)))


@router.get("/multi-period-sync/statistics")
def statistics(access: Reached) -> Answer[PeriodStatistics]:
    """Rows and latest session of each K-line, by source."""
    from quant_pipeline.sync.insight.history import runs
    from quant_pipeline.sync.insight.stats import stats_of

    counted = stats_of(access.database, list(_PERIODS.values()))
    names = {dataset.name: period for period, dataset in _PERIODS.items()}
    found: dict[str, dict[str, PeriodCount]] = {period: {} for period in _PERIODS}
    for row in counted.drop_nulls("source").iter_rows(named=True):
        found[names[row["dataset"]]][row["source"]] = PeriodCount(count=row["rows"], latest_date=row["latest"])
    last = runs(access.database, per_page=1).rows
    finished = last[0]["finished_at"] if last else None
    return Answer(data=PeriodStatistics(period_statistics=found, last_updated=finished))


def _listed(**options: list[str] | list[Period]) -> list[str]:
    """The options of a command: those that have values, comma-separated."""
    return [part for name, values in options.items() if values for part in (f"--{name}", ",".join(values))]


def job_of(started: Started, parameters: dict[str, Any]) -> Answer[Job]:
    """What is told of a command that was started."""
    status, message = ("running", "同步已启动 started") if started.running else ("success", "没有需要同步的 nothing to do")
    return Answer(
        message=message,
        data=Job(job_id=started.id, status=status, started_at=clock.now(), parameters=parameters),
    )


def _told(status: str) -> str:
    return "failed" if status in _FAILED else status
