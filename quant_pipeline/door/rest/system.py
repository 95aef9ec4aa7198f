"""The platform as a whole: how it stands, the main job by hand, what its machine has left, how it starts and stops."""

from __future__ import annotations

import datetime as dt
import shutil
from importlib.metadata import version

import psutil
from fastapi import APIRouter
from pydantic import BaseModel, Field

from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import CONFLICT, NOT_HERE, PROBLEMS, Answer, Listed, PageNumber, PerPage, Tagged
from quant_pipeline.door.rest.launching import start
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.door.rest.sync import Job, job_of
from quant_pipeline.door.rest.tasks import MAIN, TaskRun, runs_of_job

router = APIRouter(
    prefix="/api/v1/system", tags=["system"], route_class=Tagged, dependencies=[needs(Scope.READ)], responses=PROBLEMS
)
_LOOK = 0.1
"""Seconds over which the processors are looked at."""


class SystemState(BaseModel):
    mode: str
    version: str
    daemon: str | None = Field(description="Dagster's daemon as host:pid; null: none runs, and nothing starts by itself.")
    latest_session: dt.date | None
    running: list[str] = Field(description="Ids of the syncs that are going on.")
    stale: list[str] = Field(description="Data sets behind their time.")
    alerts_open: int


class Analysis(BaseModel):
    date: dt.date | None = Field(None, description="Session to end with; none: the latest complete one.")


class Process(BaseModel):
    pid: int
    memory_bytes: int = Field(description="Resident.")
    cpu_percent: float = Field(description="Of one processor.")
    threads: int
    started_at: dt.datetime


class Machine(BaseModel):
    processors: int
    cpu_percent: float
    load: list[float] = Field(description="Of 1, 5 and 15 minutes.")
    memory_bytes: int
    memory_available_bytes: int


class Disk(BaseModel):
    total_bytes: int
    free_bytes: int


class Resources(BaseModel):
    process: Process = Field(description="This door's.")
    machine: Machine
    disk: Disk = Field(description="That of QUANT_HOME.")
    database_bytes: int


@router.post("/startup", dependencies=[needs(Scope.ADMIN)], responses=CONFLICT)
def startup() -> Answer[None]:
    """What answers runs already: 409 says so, and what starts the rest."""
    raise PageError(
        409,
        "已在运行 It is running: this is its answer",
        why="定时任务由 Dagster 的守护进程运行，它随 ui 启动。Schedules need Dagster's daemon, which `ui` brings.",
        to_do="GET /api/v1/system/status 的 daemon 说明它是否在运行。It says whether one runs.",
        command="quant-pipeline ui",
    )


@router.post("/shutdown", dependencies=[needs(Scope.ADMIN)], responses=NOT_HERE)
def shutdown() -> Answer[None]:
    """Not by a request: 501 says how."""
    raise PageError(
        501,
        "不能由请求停止 It is not stopped by a request",
        why="停止由启动它的人或服务管理器执行；进行中的同步另有进程，已提交的数据不会丢失。"
        "Who started it stops it; syncs are processes of their own, and lose nothing that they committed.",
        to_do="在其终端按 Ctrl-C，或停止其系统服务；只停定时任务：POST /api/v1/tasks/{id}/toggle。"
        "Ctrl-C in its terminal, or its service manager.",
    )


@router.get("/status")
def status(access: Reached) -> Answer[SystemState]:
    """How it stands."""
    from quant_pipeline.alerts import book
    from quant_pipeline.resources.daemon_presence import running_daemon
    from quant_pipeline.sync.insight.status import status_of

    database = access.database
    now = status_of(database, access.calendar(), off=access.settings.without)
    return Answer(
        data=SystemState(
            mode=access.settings.mode.value,
            version=version("quant-pipeline"),
            daemon=running_daemon(database.connect()),
            latest_session=now.latest,
            running=list(dict.fromkeys(each.command for each in now.running)),
            stale=[each.dataset for each in now.datasets if each.stale],
            alerts_open=book.count(database),
        )
    )


@router.post("/analysis/trigger", dependencies=[needs(Scope.RUN)], status_code=202)
def analyse(access: Reached, asked: Analysis | None = None) -> Answer[Job]:
    """Starts the main job, as `quant-pipeline run` does: sync what lacks, check, screen, notify. 429 while a sync runs."""
    asked = asked or Analysis()
    options = ["--date", asked.date.isoformat()] if asked.date is not None else []
    return job_of(start(access.database, ["run", *options]), asked.model_dump(mode="json"))


@router.get("/analysis/history")
def analyses(access: Reached, page: PageNumber = 1, per_page: PerPage = 20) -> Answer[Listed[TaskRun]]:
    """The runs of the main job, the latest first: by the schedule, by the command, by this path."""
    return Answer(data=runs_of_job(access, MAIN, page, per_page))


@router.get("/resources")
def resources(access: Reached) -> Answer[Resources]:
    """Memory, processors and disk of this process and its machine, and the database's size."""
    own = psutil.Process()
    own.cpu_percent()
    busy = psutil.cpu_percent(_LOOK)
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(access.settings.home)
    with access.database.pool.connection() as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return Answer(
        data=Resources(
            process=Process(
                pid=own.pid,
                memory_bytes=own.memory_info().rss,
                cpu_percent=own.cpu_percent(),
                threads=own.num_threads(),
                started_at=dt.datetime.fromtimestamp(own.create_time(), dt.UTC),
            ),
            machine=Machine(
                processors=psutil.cpu_count() or 1,
                cpu_percent=busy,
                load=list(psutil.getloadavg()),
                memory_bytes=memory.total,
                memory_available_bytes=memory.available,
            ),
            disk=Disk(total_bytes=disk.total, free_bytes=disk.free),
            database_bytes=row[0],
        )
    )
