"""`/alerts`: what is the matter now, the rules, what was over lately; `/messages`: what was told, what waits and why."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import polars as pl
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from quant_pipeline.door.access import Reached
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.paging import Number
from quant_pipeline.door.rendering import page
from quant_pipeline.language import speaking

router = APIRouter(default_response_class=HTMLResponse)

_OVER = 20
_MESSAGES = 50
Chosen = Annotated[Literal["pending", "failed", "folded"] | None, Query(alias="status")]


@router.get("/alerts")
def alerts(request: Request, access: Reached) -> HTMLResponse:
    from quant_pipeline.alerts import book
    from quant_pipeline.alerts.rules import RULES
    from quant_pipeline.notify import listing

    database = access.database
    standing = book.alerts(database)
    return page(
        request,
        "alerts.html",
        alerts=standing.to_dicts(),
        over=book.alerts(database, everything=True, limit=_OVER, offset=standing.height).to_dicts(),
        rules=book.rules(database).to_dicts(),
        titles={name: rule.title for name, rule in RULES.items()},
        channels=listing.channels(database).to_dicts(),
    )


@router.get("/messages")
def messages(request: Request, access: Reached, number: Number = 1, status: Chosen = None) -> HTMLResponse:
    from quant_pipeline.notify import listing
    from quant_pipeline.sync.insight.history import Page

    database = access.database
    with speaking("zh"):
        rows = listing.messages(database, status=status, limit=_MESSAGES, offset=(number - 1) * _MESSAGES)
        total = listing.count(database, status=status)
    return page(
        request,
        "messages.html",
        messages=rows,
        shown=Page(pl.DataFrame(), number, _MESSAGES, total),
        chosen=status,
        waiting=listing.count(database, status="pending"),
        failed=listing.count(database, status="failed"),
        folded=listing.count(database, status="folded"),
        statuses=listing.STATUSES,
        channels=listing.channels(database).to_dicts(),
    )


@router.get("/messages/{number}")
def message(request: Request, access: Reached, number: int) -> HTMLResponse:
    from quant_pipeline.notify import listing

    try:
        with speaking("zh"):
            found = listing.message(access.database, number)
    except listing.MessageError as error:
        raise PageError(404, "没有这条消息 No such message", why=str(error), command="quant-pipeline messages") from None
    return page(request, "message.html", message=found, statuses=listing.STATUSES, content=_rendered(found))


def _rendered(found: dict[str, Any]) -> str | None:
    """A message in markdown as HTML, in which no markup of its own lives; None: it is shown as it is."""
    if found["template"] != "markdown":
        return None
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(found["content"]))
