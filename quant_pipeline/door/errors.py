"""Errors as pages: what happened, why, and what to do, with the status that says the same to a program."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from quant_pipeline.door.rendering import page

_logger = logging.getLogger(__name__)


class PageError(Exception):
    """A page that cannot be shown. `what` happened, `why`, and what `to_do`: by a `command`, or on other pages.

    `links`: address -> text.
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        why: str = "",
        to_do: str = "",
        command: str = "",
        links: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status, self.what, self.why, self.to_do, self.command = status, what, why, to_do, command
        self.links = links or {}


def add_handlers(app: FastAPI) -> None:
    """The errors that FastAPI and the pages raise become pages; for others see `unforeseen`."""
    app.add_exception_handler(PageError, _told)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_address)


def _told(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, PageError)
    return _page(request, error)


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _page(request, PageError(404, "没有这个页面 No such page", why=f"地址 {request.url.path} 不存在。"))
    if error.status_code == 405:
        return PlainTextResponse("read-only 只读: these pages are only looked at (GET)", 405, error.headers)
    return _page(request, PageError(error.status_code, str(error.detail)))


def _of_address(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, RequestValidationError)
    what = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return _page(request, PageError(400, "地址写法有误 The address cannot be read", why=what))


def unforeseen(request: Request, error: Exception) -> HTMLResponse:
    """A page for any other error: the database's and the calendar's in their words, the rest logged."""
    from quant_pipeline.market.calendar import CalendarError
    from quant_pipeline.warehouse.errors import DatabaseError, described
    from quant_pipeline.warehouse.schema import SchemaError
    from quant_pipeline.warehouse.server import ServerError

    if isinstance(error, DatabaseError | ServerError | SchemaError) or described(error) is not None:
        away = PageError(
            503,
            "数据库不可用 The database is away",
            why=described(error) or str(error),
            to_do="恢复后刷新本页即可，已提交的数据不会丢失。检查 Check:",
            command="quant-pipeline status",
        )
        return _page(request, away)
    if isinstance(error, CalendarError):
        return _page(request, PageError(404, "交易日历没有这一天 The calendar does not know this day", why=str(error)))
    _logger.error("the page %s failed", request.url.path, exc_info=error)
    failed = PageError(
        500,
        "页面出错了 This page failed",
        why="这是程序的错误，详情已写入日志。A fault of the program; the log file has the details.",
        to_do="查看日志 See the log:",
        command="quant-pipeline history --logs",
    )
    return _page(request, failed)


def _page(request: Request, error: PageError) -> HTMLResponse:
    return page(request, "error.html", status_code=error.status, error=error)
