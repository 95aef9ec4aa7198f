"""The flow of data: syncs that go on, calls of the sources, and the lake, which stands in the place of a cache."""

from __future__ import annotations

import datetime as dt

import polars as pl
from fastapi import APIRouter
from pydantic import BaseModel, Field

from quant_pipeline.door import metrics as figures
from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest import sync as syncs
from quant_pipeline.door.rest.forms import NOT_HERE, PROBLEMS, Answer, Tagged
from quant_pipeline.door.rest.rights import needs

router = APIRouter(
    prefix="/api/v1/dataflow", tags=["dataflow"], route_class=Tagged, dependencies=[needs(Scope.READ)], responses=PROBLEMS
)


class Running(BaseModel):
    id: str
    trigger: str
    started_at: dt.datetime
    dataset: str | None = Field(description="That of the last commit.")
    planned: int
    done: int
    failed: int
    rows: int
    rows_per_second: float
    seconds_left: float | None


class Behind(BaseModel):
    dataset: str
    last: dt.date | None
    behind: int | None = Field(description="Sessions (weeks, months) that are due and lack.")
    failed: int = Field(description="Units whose last attempt failed.")
    words: str


class Flow(BaseModel):
    running: list[Running]
    behind: list[Behind] = Field(description="Data sets that lack something.")
    current: int = Field(description="Data sets that lack nothing.")


class SourceFlow(BaseModel):
    source: str
    priority: int
    circuit: str | None
    calls_minute: int
    calls_hour: int
    calls_day: int
    outcomes: dict[str, int] = Field(description="Outcome -> calls of 24 hours.")


class LakeDataset(BaseModel):
    dataset: str
    files: int
    current: int = Field(description="Files that readers take; of the others they read the table.")
    rows: int
    bytes: int
    written_at: str | None = Field(description="The last of its files.")


class Lake(BaseModel):
    folder: str
    files: int
    current: int
    lacking: int = Field(description="Years that the next sync of the lake writes: they changed, or have no file.")
    rows: int
    bytes: int
    datasets: list[LakeDataset]


class LakeFile(BaseModel):
    dataset: str
    year: int | None = Field(description="null: a list, which has one file.")
    rows: int
    bytes: int


@router.get("/status")
def status(access: Reached) -> Answer[Flow]:
    """The syncs that go on with their pace, and the data sets that lack something."""
    from quant_pipeline.sync.insight.running import running
    from quant_pipeline.sync.insight.status import status_of

    now = status_of(access.database, access.calendar(), off=access.settings.without)
    going_on = [
        Running(
            id=each.command,
            trigger=each.trigger,
            started_at=each.started_at,
            dataset=each.dataset,
            planned=each.planned,
            done=each.done,
            failed=each.failed,
            rows=each.rows,
            rows_per_second=each.rows_per_second,
            seconds_left=each.seconds_left,
        )
        for each in running(access.database)
    ]
    lack = [each for each in now.datasets if each.stale or each.behind or each.failed]
    behind = [Behind(**{name: getattr(each, name) for name in Behind.model_fields}) for each in lack]
    return Answer(data=Flow(running=going_on, behind=behind, current=len(now.datasets) - len(lack)))


@router.get("/metrics")
def metrics(access: Reached) -> Answer[list[SourceFlow]]:
    """The calls of each source; by API: GET /api/v1/monitoring/performance."""
    from quant_pipeline.sources.controls import WHOLE
    from quant_pipeline.sync.insight.health import outcomes

    ended = outcomes(access.database)
    names = [name for name in SourceFlow.model_fields if name != "outcomes"]
    return Answer(
        data=[
            SourceFlow(
                **{name: row[name] for name in names},
                outcomes=dict(
                    ended.filter(pl.col("source") == row["source"])
                    .group_by("outcome", maintain_order=True)
                    .agg(pl.sum("calls"))
                    .iter_rows()
                ),
            )
            for row in figures.health(access)
            if row["api"] == WHOLE
        ]
    )


@router.get("/cache/stats")
def lake_state(access: Reached) -> Answer[Lake]:
    """The lake, which is no cache that could be wrong: a file whose year has changed is not read."""
    from quant_pipeline.warehouse.lake import folder_of, state

    folder = folder_of(access.settings)
    kept = state(access.database, folder)
    datasets: dict[str, LakeDataset] = {}
    for each in kept:
        known = datasets.setdefault(
            each.dataset, LakeDataset(dataset=each.dataset, files=0, current=0, rows=0, bytes=0, written_at=None)
        )
        if each.written_at is not None:
            known.files, known.current = known.files + 1, known.current + each.current
            known.rows, known.bytes = known.rows + each.rows, known.bytes + each.bytes
            known.written_at = max(known.written_at or "", each.written_at)
    told = list(datasets.values())
    return Answer(
        data=Lake(
            folder=str(folder),
            files=sum(each.files for each in told),
            current=sum(each.current for each in told),
            lacking=sum(not each.current for each in kept),
            rows=sum(each.rows for each in told),
            bytes=sum(each.bytes for each in told),
            datasets=told,
        )
    )


@router.post("/optimize", dependencies=[needs(Scope.RUN)])
def optimize(access: Reached) -> Answer[list[LakeFile]]:
    """Brings the lake up to date, as `quant-pipeline lake sync` does: whole markets are read from it several times faster. The
    answer comes when it is done, and tells what was written."""
    from quant_pipeline.warehouse.lake import LakeError, folder_of, sync
    from quant_pipeline.warehouse.table_changes import EVERY_YEAR

    try:
        written = sync(access.database, folder_of(access.settings))
    except LakeError as error:
        raise PageError(503, "数据湖无法写入 The lake cannot be written", why=str(error)) from None
    files = [
        LakeFile(dataset=each.dataset, year=None if each.year == EVERY_YEAR else each.year, rows=each.rows, bytes=each.bytes)
        for each in written
    ]
    return Answer(message=f"已写入 {len(files)} 个文件 written" if files else "已是最新 current", data=files)


@router.post("/cache/clear", dependencies=[needs(Scope.ADMIN)], responses=NOT_HERE)
def clear() -> Answer[None]:
    """There is none: 501 says what stands in its place."""
    raise PageError(
        501,
        "没有可清的缓存 There is no cache to clear",
        why="没有 Redis：数据只在 PostgreSQL 中。数据湖只是副本，过时的文件不会被读取。"
        "There is no Redis: the data are PostgreSQL's. The lake is a copy, of which nothing is read that is out of date.",
        to_do="更新数据湖 Bring it up to date: POST /api/v1/dataflow/optimize；"
        "重新获取数据 fetch again: POST /api/sync/trigger {force: true}",
    )


@router.post("/sync", dependencies=[needs(Scope.RUN)])
def sync(asked: syncs.Trigger, access: Reached) -> Answer[syncs.Job]:
    """Starts a sync: the same as POST /api/sync/trigger."""
    return syncs.trigger(asked, access)
