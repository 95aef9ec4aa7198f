"""A day at a glance: `/` the latest one that is stored, `/day/2026-11-20` any."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from quant_pipeline.door.access import Access, Reached
from quant_pipeline.door.days import session_of
from quant_pipeline.door.errors import PageError
from quant_pipeline.door.rendering import page
from quant_pipeline.market import clock
from quant_pipeline.market.calendar import Calendar, CalendarError

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/")
def latest_day(request: Request, access: Reached) -> HTMLResponse:
    from quant_pipeline.overview.stored import latest_stored

    session = latest_stored(access.database, clock.today())
    if session is None:
        return page(request, "welcome.html")
    return _shown(request, access, access.calendar(), session)


@router.get("/day")
def chosen_day(date: str = "") -> RedirectResponse:
    """Where the date field leads."""
    return RedirectResponse(f"/day/{date}" if date else "/", 303)


@router.get("/day/{date}")
def one_day(request: Request, date: str, access: Reached) -> HTMLResponse:
    calendar = access.calendar()
    return _shown(request, access, calendar, session_of(calendar, date, under="/day"))


def _shown(request: Request, access: Access, calendar: Calendar, session: dt.date) -> HTMLResponse:
    from quant_pipeline.overview.day import NotStored, day_of

    try:
        day = day_of(access.database, calendar, session, off=access.settings.without)
    except NotStored as error:
        raise PageError(
            404,
            f"{session} 尚未入库 Not stored",
            why="该交易日没有日线行情。There are no daily bars of this session.",
            to_do="同步并计算该日 Sync and sum up the day:",
            command=error.command,
        ) from None
    return page(request, "day.html", day=day, latest=_latest(calendar), base="")


def _latest(calendar: Calendar) -> dt.date | None:
    try:
        return calendar.latest()
    except CalendarError:
        return None
