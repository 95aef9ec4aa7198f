"""Whether the door and what stands behind it are well."""

from __future__ import annotations

import datetime as dt
from importlib.metadata import version
from typing import Literal

import psycopg
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from quant_pipeline.door.access import Reached
from quant_pipeline.door.keys import Scope
from quant_pipeline.door.rest.forms import PROBLEMS, Answer
from quant_pipeline.door.rest.rights import needs
from quant_pipeline.market import clock
from quant_pipeline.warehouse.errors import DatabaseError

open_router = APIRouter(tags=["service"])
router = APIRouter(prefix="/api/v1", tags=["service"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)


class Health(BaseModel):
    status: Literal["ok", "degraded"] = Field(description="degraded: the database does not answer.")
    at: dt.datetime


class Info(BaseModel):
    name: str = "quant_pipeline"
    version: str
    mode: str
    documentation: str = "/api/doc"


class DatasetState(BaseModel):
    dataset: str
    last: dt.date | None
    behind: int | None
    stale: bool
    words: str


class State(BaseModel):
    mode: str
    latest_session: dt.date | None
    running: list[str] = Field(description="Ids of the syncs that are going on.")
    stale: list[str]
    datasets: list[DatasetState]


@open_router.get("/health", responses={503: {"model": Health, "description": "The database does not answer."}})
@open_router.get("/api/v1/health", responses={503: {"model": Health, "description": "The database does not answer."}})
def health(access: Reached, response: Response) -> Health:
    """Whether it answers, and its database. Without a key: a watchdog's question, which tells nothing of the data."""
    from quant_pipeline.warehouse.server import ServerError

    try:
        with access.database.pool.connection(timeout=5) as connection:
            connection.execute("SELECT 1")
    except (DatabaseError, ServerError, psycopg.Error):
        response.status_code = 503
        return Health(status="degraded", at=clock.now())
    return Health(status="ok", at=clock.now())


@router.get("/info")
def info(access: Reached) -> Answer[Info]:
    """What this is."""
    return Answer(data=Info(version=version("quant-pipeline"), mode=access.settings.mode.value))


@router.get("/status")
def status(access: Reached) -> Answer[State]:
    """How far each data set is synced, as `quant-pipeline status` tells it."""
    from quant_pipeline.sync.insight.status import status_of

    now = status_of(access.database, access.calendar(), off=access.settings.without)
    datasets = [
        DatasetState(dataset=each.dataset, last=each.last, behind=each.behind, stale=each.stale, words=each.words)
        for each in now.datasets
    ]
    return Answer(
        data=State(
            mode=access.settings.mode.value,
            latest_session=now.latest,
            running=list(dict.fromkeys(each.command for each in now.running)),
            stale=[each.dataset for each in datasets if each.stale],
            datasets=datasets,
        )
    )
