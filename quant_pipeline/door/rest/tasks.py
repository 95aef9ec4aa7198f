"""The scheduled jobs: their times in `schedules.toml`, their switches, their runs; and a tick by hand.

Each job has one schedule, so a task is called as its job. Its times stand in the file, or are the defaults: to create a task is
to write its table, to delete it is to take that out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from quant_pipeline.configuration import ConfigurationError
from quant_pipeline.door.access import Access, Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import CONFLICT, PROBLEMS, Answer, Listed, PageNumber, PerPage, Tagged
from quant_pipeline.door.rest.launching import start, tick
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.language import speaking
from quant_pipeline.retelling import retold

_routes = APIRouter(tags=["tasks"], route_class=Tagged, dependencies=[needs(Scope.READ)], responses=PROBLEMS | CONFLICT)
Job = Annotated[str, Path(max_length=64, description="The job's name: GET lists them.", examples=["daily_sync"])]
Cron = Annotated[
    str, Field(max_length=100, description="minute hour day month weekday, Asia/Shanghai", examples=["30 17 * * *"])
]
MAIN = "daily_sync"
"""What the command `run` does."""
_RELOAD = (
    "已写入文件，重新加载代码位置（Dagster 页面的 Reload definitions）或重启 ui 后生效 "
    "Written; it holds when the code location is loaded again"
)


class Task(BaseModel):
    """A scheduled job. Times are the file's: one that was changed holds when the code location is reloaded."""

    id: str = Field(description="The job.")
    schedule: str = Field(description="As Dagster's pages call it.")
    cron: str
    words: str = Field(description="The time as a person says it.")
    origin: Literal["file", "default"] = Field(description="Whether it has a table in schedules.toml.")
    on: bool = Field(description="Whether it ticks: by the switch, else as the file says.")
    switched_by_hand: bool
    next_at: dt.datetime | None = Field(description="null: it is off. It ticks while `ui` (its daemon) runs.")


class ToChange(BaseModel):
    """What is left out stays as it is."""

    cron: Cron | None = None
    on: bool | None = Field(None, description="Whether it starts switched on; the switch (toggle) overrules it.")


class ToCreate(BaseModel):
    id: str = Field(max_length=64, description="The job.", examples=["hot_sync"])
    cron: Cron
    on: bool = True


class Toggled(BaseModel):
    on: bool | None = Field(None, description="None: the other way round.")


class TaskRun(BaseModel):
    run_id: str = Field(description="Dagster's.")
    status: str = Field(description="Dagster's: queued, started, success, failure, canceled …")
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    partition: str | None
    first: str | None = Field(description="Of several partitions the first.")
    last: str | None
    command_id: str | None = Field(description="What GET /api/sync/history calls it, where a command or this path started it.")
    command: str | None


class Ticked(BaseModel):
    id: str
    command_id: str = Field(description="GET {id}/history shows the run that has it.")
    status: Literal["running", "success"] = Field(description="success: there was nothing to do, or it has ended.")


@_routes.get("")
def every(access: Reached, page: PageNumber = 1, per_page: PerPage = 100) -> Answer[Listed[Task]]:
    """All scheduled jobs."""
    tasks = list(_tasks(access).values())
    shown = tasks[(page - 1) * per_page : page * per_page]
    return Answer(data=Listed(items=shown, page=page, per_page=per_page, total=len(tasks)))


@_routes.post("", dependencies=[needs(Scope.ADMIN)], status_code=201)
def create(asked: ToCreate, access: Reached) -> Answer[Task]:
    """Writes the times of a job that has the default ones. 400 for a job that does not exist, 409 where it has some."""
    from quant_pipeline import timetable_file

    _known(asked.id, status=400)
    with _in_words():
        if asked.id in timetable_file.jobs_in(access.settings):
            why = f"{asked.id} 在文件中已有设置。It has a table in the file."
            raise PageError(409, "任务已存在 The task exists", why=why, to_do=f"PUT /api/v1/tasks/{asked.id}")
        timetable_file.put(access.settings, asked.id, {"cron": asked.cron, "on": asked.on})
    return Answer(message=_RELOAD, data=_tasks(access)[asked.id])


@_routes.get("/{job}")
def one(job: Job, access: Reached) -> Answer[Task]:
    """One of them."""
    _known(job)
    return Answer(data=_tasks(access)[job])


@_routes.put("/{job}", dependencies=[needs(Scope.ADMIN)])
def change(job: Job, asked: ToChange, access: Reached) -> Answer[Task]:
    """Changes its time, or whether it starts switched on: in the file, which is judged whole before it is written."""
    from quant_pipeline import timetable_file

    _known(job)
    fields: dict[str, Any] = asked.model_dump(exclude_none=True)
    if not fields:
        raise PageError(400, "没有要修改的 Nothing is to be changed", why="写明 cron 或 on。Name cron or on.")
    with _in_words():
        timetable_file.put(access.settings, job, fields)
    return Answer(message=_RELOAD, data=_tasks(access)[job])


@_routes.delete("/{job}", dependencies=[needs(Scope.ADMIN)])
def delete(job: Job, access: Reached) -> Answer[Task]:
    """Takes its times out of the file: it goes on at its default ones, which are answered. To stop it, toggle it."""
    from quant_pipeline import timetable_file

    _known(job)
    with _in_words():
        if job not in timetable_file.jobs_in(access.settings):
            why = f"{job} 使用默认时间，文件中没有它。The file does not have it: it runs at its default time."
            raise PageError(409, "没有可删除的 There is nothing to delete", why=why, to_do=f"POST /api/v1/tasks/{job}/toggle")
        timetable_file.drop(access.settings, job)
    return Answer(message=_RELOAD, data=_tasks(access)[job])


@_routes.post("/{job}/trigger", dependencies=[needs(Scope.RUN)], status_code=202)
def trigger(job: Job, access: Reached) -> Answer[Ticked]:
    """Starts what its schedule would start now; `daily_sync` as the command `run`. 409 with the reason where that is nothing
    (the exchange is closed), 429 where it syncs and a sync is running."""
    _known(job)
    started = start(access.database, ["run"]) if job == MAIN else tick(access.database, job)
    told = Ticked(id=job, command_id=started.id, status="running" if started.running else "success")
    return Answer(message="已启动 started" if started.running else "已结束 ended", data=told)


@_routes.post("/{job}/toggle", dependencies=[needs(Scope.ADMIN)])
def toggle(job: Job, access: Reached, asked: Toggled | None = None) -> Answer[Task]:
    """Switches it on or off, at once, as the switch in Dagster's pages; it overrules the file."""
    import dagster as dg

    from quant_pipeline.resources.dagster_private.switches import switch

    _known(job)
    now = _tasks(access)[job]
    wanted = asked.on if asked is not None and asked.on is not None else not now.on
    with dg.DagsterInstance.get() as instance:
        switch(instance, now.schedule, now.cron, on=wanted)
    return Answer(message="已开启 on" if wanted else "已关闭 off", data=_tasks(access)[job])


@_routes.get("/{job}/history")
def history(job: Job, access: Reached, page: PageNumber = 1, per_page: PerPage = 20) -> Answer[Listed[TaskRun]]:
    """Its runs, the latest first: by the schedule, by commands, by hand."""
    _known(job)
    return Answer(data=runs_of_job(access, job, page, per_page))


def runs_of_job(access: Access, job: str, page: int, per_page: int) -> Listed[TaskRun]:
    """A page of the job's runs."""
    from quant_pipeline.resources.dagster_private.run_list import runs_of

    with access.database.pool.connection() as connection:
        found, total = runs_of(connection, job, page=page, per_page=per_page)
    return Listed(items=[TaskRun(**vars(each)) for each in found], page=page, per_page=per_page, total=total)


def _known(job: str, *, status: int = 404) -> None:
    """PageError names the jobs, where there is none of that name."""
    from quant_pipeline.timetable import DEFAULTS

    if job not in DEFAULTS:
        why = f"任务有 The tasks are: {', '.join(DEFAULTS)}"
        raise PageError(status, f"没有任务 {job[:64]} There is no such task", why=why)


def _tasks(access: Access) -> dict[str, Task]:
    import dagster as dg

    from quant_pipeline import timetable, timetable_file
    from quant_pipeline.resources.dagster_private.switches import next_tick, switched_by_hand
    from quant_pipeline.resources.instance import InstanceError, prepare_environment

    with _in_words():
        times, written = timetable.load(access.settings.schedules), timetable_file.jobs_in(access.settings)
    try:
        prepare_environment()
    except InstanceError as error:
        raise PageError(409, "找不到 dagster.yaml There is no dagster.yaml", why=str(error)) from None
    with dg.DagsterInstance.get() as instance:
        by_hand = switched_by_hand(instance)
    tasks = {}
    for job, when in times.items():
        schedule = f"{job}_schedule"
        on = by_hand.get(schedule, when.on)
        tasks[job] = Task(
            id=job,
            schedule=schedule,
            cron=when.cron,
            words=timetable.spoken(when.cron),
            origin="file" if job in written else "default",
            on=on,
            switched_by_hand=schedule in by_hand,
            next_at=next_tick(when.cron) if on else None,
        )
    return tasks


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        with speaking("zh"):
            why = retold(str(error))
        raise PageError(400, "时间设置不可用，未作改动 The schedules cannot be used, nothing was changed", why=why) from None


router = APIRouter()
for _prefix in ("/api/v1/tasks", "/api/scheduler/jobs"):  # the integration service's word for it, and the stock scan's
    router.include_router(_routes, prefix=_prefix)
