"""`/sync`: status, sources and history, as the commands tell them; `/sync/<run>`: what became of each unit of a run."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.paging import Number
from quant_pipeline.door.rendering import page

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/sync")
def sync(request: Request, access: Reached, number: Number = 1) -> HTMLResponse:
    from quant_pipeline.sources import controls, registry
    from quant_pipeline.sync.insight.commands import commands_of
    from quant_pipeline.sync.insight.health import SLOW_ABOVE, UNHEALTHY_BELOW, health_of, troubles
    from quant_pipeline.sync.insight.history import STATUSES, by_command
    from quant_pipeline.sync.insight.status import BRING, RETRY, status_of

    database = access.database
    health = health_of(database, registry.policies(access.settings.rate_limits), registry.priorities())
    history = by_command(database, page=number)
    return page(
        request,
        "sync.html",
        status=status_of(database, access.calendar(), off=access.settings.without),
        off=access.settings.without,
        bring=BRING,
        retry=RETRY,
        sources=health,
        whole=controls.WHOLE,
        slow_above=SLOW_ABOVE,
        unhealthy_below=UNHEALTHY_BELOW,
        troubles=troubles(health),
        circuits=controls.CIRCUITS,
        moves=controls.EVENTS,
        states=STATUSES,
        events=controls.events(database, 15),
        history=history,
        runs=commands_of(history),
    )


@router.get("/sync/{begins}")
def run(request: Request, begins: str, access: Reached, number: Number = 1) -> HTMLResponse:
    from quant_pipeline.market.datasets import DATASETS
    from quant_pipeline.sync.insight.commands import commands_of
    from quant_pipeline.sync.insight.history import STATUSES, items, run_of, runs_of
    from quant_pipeline.sync.ledger import COMMAND_ID_TAG

    try:
        known = run_of(access.database, begins)
    except ValueError as error:
        raise PageError(404, "没有这次运行 No such run", why=str(error), command="quant-pipeline history") from None
    units = items(access.database, known.runs, page=number)
    (whole,) = commands_of(runs_of(access.database, known))
    return page(
        request,
        "run.html",
        run=known.id,
        command_tag=COMMAND_ID_TAG,
        parts=known.runs,
        whole=whole,
        units=units,
        rows=units.rows,
        states=STATUSES,
        names={name: dataset.zh for name, dataset in DATASETS.items()},
    )
